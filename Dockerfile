# syntax=docker/dockerfile:1
# The image of the job, for x86-64 and arm64:
#   docker build --build-arg CAMPAIGN_ETL_COMMIT="$(git describe --always --dirty --abbrev=12 --exclude='*')" --tag campaign-etl:0.2.0 .
#   docker run --rm --volume ./job.toml:/etc/campaign-etl/job.toml:ro --env-file keys campaign-etl:0.2.0 run --config /etc/campaign-etl/job.toml
# On x86-64 the program needs a processor with AVX2 (.cargo/config.toml). That setting is for x86-64 only.

# The rust-version of Cargo.toml.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# For `--version`: .git is not in the context.
ARG CAMPAIGN_ETL_COMMIT
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin campaign-etl \
    && cp target/dist/campaign-etl /campaign-etl

FROM debian:bookworm-slim
# Object stores are reached over TLS, with the certificates of the system.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /campaign-etl /usr/local/bin/campaign-etl
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /tmp
# The program is process 1 and handles SIGTERM and SIGINT itself. It starts no other process, so no init is needed.
ENTRYPOINT ["campaign-etl"]
CMD ["--help"]
