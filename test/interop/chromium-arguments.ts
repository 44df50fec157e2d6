/** What every Chromium of the tests is started with. */
export const chromiumArguments = [
  '--no-sandbox',
  // What a browser of today adds to protect loopback is no merit of the node's.
  '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWarn,BlockInsecurePrivateNetworkRequests'
]
