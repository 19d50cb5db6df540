FROM busybox
RUN mkdir -p /there /home
# Something to each of which a folder is the only place.
COPY one two /merged
COPY *.conf /there
COPY one/first none* /matched/
COPY none* /nothing/
ADD text.gz /compressed/
EXPOSE 9000:90 8000-8002/udp
# What is missing belongs to who works there; what is there stays as it is.
USER 1000:44
WORKDIR /home/of/user
RUN touch made && grep ' / ' /proc/self/mounts > mounted
WORKDIR /there
