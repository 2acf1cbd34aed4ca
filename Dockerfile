# One image for the web server, the worker and beat; what it does is the command it is started with.
#
#   docker build --build-arg TORCH_VARIANT=cpu .
#
# TORCH_VARIANT  cpu or cuda: the PyTorch that is wanted. The build checks that it got that one.
# TORCH_INDEX    where pip finds that variant, if not where it finds everything else.

FROM python:3.11-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# PyTorch first: it is by far the largest and changes the least. Its own dependencies come with all others.
COPY requirements/service.txt requirements/constraints.txt /requirements/
ARG TORCH_VARIANT=cpu
ARG TORCH_INDEX=
RUN pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep --only-matching '^torch==[^ ]*' /requirements/service.txt)"
RUN pip install --requirement /requirements/service.txt --constraint /requirements/constraints.txt

COPY deploy/check_torch_variant.py /
RUN python /check_torch_variant.py "$TORCH_VARIANT"


FROM python:3.11-slim-bookworm
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="image-upscaler" \
      org.opencontainers.image.description="A self-hosted image-upscaling service: Real-ESRGAN behind Flask and Celery" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin upscaler \
 && install --directory --owner upscaler /models
COPY --from=packages /opt/venv /opt/venv
# HOME is for libraries that keep caches: /tmp is the one place that can be written.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MODELS_DIR=/models

WORKDIR /app
COPY . .
RUN python -m compileall -q .
USER upscaler
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "main:create_app()"]
