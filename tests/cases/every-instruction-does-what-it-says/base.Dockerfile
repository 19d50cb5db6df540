FROM busybox
ENV KIND=base
ONBUILD COPY --from=helper --chown=web:extra /word /onbuild/word
ONBUILD COPY <<END /onbuild/text
of $KIND and $WHO
END
ONBUILD RUN false; echo "$(id -un) $KIND" > /tmp/onbuild
SHELL ["/bin/sh", "-c", "--"]
HEALTHCHECK --interval=7s CMD true
STOPSIGNAL SIGQUIT
USER web
