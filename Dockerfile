# One image per service: docker build --build-arg SERVICE=permission .
# SERVICE is identity, permission, groupchat, feedback, gateway or all.
#
# An image is built from proto, pkg and its one service only, with the replace
# lines of that service's go.mod, so a change in one service rebuilds no other.
ARG SERVICE=all

FROM golang:1.26 AS kit
ENV CGO_ENABLED=0 GOWORK=off GOCACHE=/go/cache GOFLAGS="-trimpath -tags=timetzdata"
WORKDIR /src
COPY proto proto
COPY pkg pkg

FROM kit AS identity
COPY services/identity services/identity
WORKDIR /src/services/identity

FROM kit AS permission
COPY services/permission services/permission
WORKDIR /src/services/permission

FROM kit AS groupchat
COPY services/groupchat services/groupchat
WORKDIR /src/services/groupchat

FROM kit AS feedback
COPY services/feedback services/feedback
WORKDIR /src/services/feedback

FROM kit AS gateway
COPY gateway gateway
WORKDIR /src/gateway

FROM kit AS all
COPY gateway gateway
COPY services services
WORKDIR /src/services/all

FROM ${SERVICE} AS build
# Each module has exactly one command; -o with two would fail, as it should.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/go/cache \
    go build -ldflags="-s -w" -o /out/guildhall ./cmd/... && mkdir /out/data

# Nothing but the program, the certificates it trusts and a folder it may write
# to: no shell, no package manager, no root. Time zones are inside the program.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /var/lib/guildhall
COPY --from=build /out/guildhall /usr/local/bin/guildhall
USER 65532:65532
ENV GUILDHALL_DATA=/var/lib/guildhall
WORKDIR /var/lib/guildhall
VOLUME /var/lib/guildhall
ENTRYPOINT ["/usr/local/bin/guildhall"]
CMD ["serve"]
