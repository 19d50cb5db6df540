FROM busybox AS helper
RUN echo word > /word

FROM example.com/base AS middle
# The triggers of the base were for the stage above alone.
FROM middle
CMD echo in the shell
