FROM busybox
RUN --mount=type=ssh,required=true --mount=type=ssh,id=other,target=/other,uid=7,gid=8,mode=0666 \
    stat -c "%F %u:%g:%a" "$SSH_AUTH_SOCK" /other > /agents; echo $SSH_AUTH_SOCK >> /agents
RUN grep CapEff /proc/self/status > /usual
RUN --security=insecure grep CapEff /proc/self/status > /insecure
RUN --network=host readlink /proc/self/ns/net > /host; ls /sys/class/net >> /host
RUN --network=none ls /sys/class/net > /none
