FROM busybox
# It fails once the other one runs.
RUN --mount=type=cache,id=meeting,target=/meeting mkfifo /meeting/pipe; cat /meeting/pipe; echo the last of one; exit 3
