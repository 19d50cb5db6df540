ARG TAG=latest
ARG GREETING=global
FROM busybox:${TAG}
ARG GREETING
ARG OWN=own
ARG TARGETOS
RUN echo "$GREETING $OWN ${TAG:-none} $TARGETOS $HTTP_PROXY" > /seen
ENV OWN=env NAMED="$GREETING there"
RUN echo "$OWN $NAMED" >> /seen
LABEL greeting=$GREETING
EXPOSE 53/udp 80
VOLUME ["/one", "/two"]
STOPSIGNAL SIGINT
WORKDIR /place/$OWN
WORKDIR below
USER 1000:44
RUN echo "$(pwd) $(id -u):$(id -g)" > /tmp/place
HEALTHCHECK --interval=3s --timeout=2s --start-period=1s --retries=4 CMD ["true"]
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT exec echo
CMD ["$OWN"]
MAINTAINER somebody
