FROM busybox
RUN --mount=type=cache,id=meeting,target=/meeting mkfifo /meeting/pipe; echo here > /meeting/pipe; exec sleep 1000
