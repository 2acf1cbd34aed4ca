# One image for the web server, the worker and beat; what it does is the command it is started with.
#
#   docker build --build-arg TORCH_VARIANT=cpu .
#
# TORCH_VARIANT  cpu or cuda: the PyTorch that is wanted. The build checks that it got that one.
# TORCH_INDEX    where pip finds that variant, if not where it finds everything else.

FROM python:3.11-slim-bookworm AS torch-version
COPY requirements/service.txt /
RUN grep --only-matching '^torch==[^ ]*' /service.txt > /torch.txt


FROM python:3.11-slim-bookworm
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

# Layers from what changes least to what changes most. PyTorch is by far the largest: alone, first, and installed
# anew only with another version. What it needs comes with all others, which are held to their hashes; at last a CUDA
# build's own packages, which it pins itself. Everything is a wheel: no compiler.
COPY --from=torch-version /torch.txt /requirements/
ARG TORCH_INDEX=
RUN pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --requirement /requirements/torch.txt
COPY requirements/locked/service.txt /requirements/
RUN pip install --require-hashes --no-deps --requirement /requirements/service.txt
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement /requirements/torch.txt

COPY deploy/check_torch_variant.py /
ARG TORCH_VARIANT=cpu
RUN python /check_torch_variant.py "$TORCH_VARIANT"

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin upscaler \
 && install --directory --owner upscaler /models
# HOME is for libraries that keep caches: /tmp is the one place that can be written.
ENV HOME=/tmp \
    MODELS_DIR=/models \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /app
COPY . .
RUN python -m compileall -q .

ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="image-upscaler" \
      org.opencontainers.image.description="A self-hosted image-upscaling service: Real-ESRGAN behind Flask and Celery" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

USER upscaler
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "main:create_app()"]
