# Two stages: wheels are built where the compilers are, the image that runs has none of them.
ARG PYTHON=3.13-slim-trixie

FROM rust:1.95-slim-trixie AS rust

FROM python:${PYTHON} AS build
# The distribution's compiler only links; its exact version changes nothing in the result.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
WORKDIR /src
COPY . .
RUN deploy/docker/build.sh /opt/fscore

FROM python:${PYTHON}
RUN useradd --system --uid 10001 --home-dir /var/lib/fscore --create-home fscore
COPY --from=build /opt/fscore /opt/fscore
COPY deploy/docker/healthcheck.py /opt/fscore/healthcheck.py
ENV PATH=/opt/fscore/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FSCORE_HOST=0.0.0.0 \
    FSCORE_PORT=8080
USER 10001
WORKDIR /var/lib/fscore
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "/opt/fscore/healthcheck.py"]
ENTRYPOINT ["fscore"]
CMD ["serve"]
