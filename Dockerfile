# docker build -t pinnace .
# docker run -d -p 5005:5000 -p 4001:4001 -v pinnace:/var/lib/registry pinnace

# Any image with Node.js of at least 22.19; the first also needs npm.
ARG BUILD_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=node:24-bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Nothing that runs in the image has an install script: the one that has (the Node.js of the npm scripts) is not needed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && chmod 0755 dist/main.js && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Pinnace" \
      org.opencontainers.image.description="An OCI/Docker registry that is an IPFS node" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY LICENSE-APACHE LICENSE-MIT package.json /opt/pinnace/
COPY --from=build /build/node_modules /opt/pinnace/node_modules
COPY --from=build /build/dist /opt/pinnace/dist
COPY config/registry.yml /etc/docker/registry/config.yml
# A new volume takes owner and mode of the folder it is mounted on, so the node may write it without being root.
RUN ln -s /opt/pinnace/dist/main.js /usr/local/bin/pinnace \
    && mkdir -p /var/lib/registry && chown 1000:1000 /var/lib/registry && chmod 0700 /var/lib/registry
# In a container loopback reaches nobody. The path is for `docker exec … pinnace ls` and the health check.
ENV NODE_ENV=production \
    REGISTRY_HTTP_ADDR=0.0.0.0:5000 \
    REGISTRY_IPFS_LISTEN="[/ip4/0.0.0.0/tcp/4001]" \
    REGISTRY_CONFIGURATION_PATH=/etc/docker/registry/config.yml
USER 1000:1000
VOLUME /var/lib/registry
EXPOSE 5000 4001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["pinnace", "health"]
# Exec form: the node is process 1 and gets the signals itself.
ENTRYPOINT ["pinnace"]
CMD ["serve", "/etc/docker/registry/config.yml"]
