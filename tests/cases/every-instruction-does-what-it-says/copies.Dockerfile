FROM busybox AS files
RUN mkdir -p /tree/a && echo one > /tree/a/one && ln -s a /tree/link && chown -R 5:6 /tree && chmod 2750 /tree/a

FROM busybox
RUN mkdir /elsewhere && ln -s /elsewhere /place && ln -s /elsewhere /other
COPY --link --from=files /tree /place/linked
COPY --from=files /tree /other/followed
COPY --chown=web:extra --chmod=u=rwX,go=rX tree /named/
COPY --chown=7:8 --chmod=0600 tree/tool /numbered
COPY --chmod=+x tree/tool /tool
COPY --parents tree/a/*.txt tree/./b/one.txt /parents/
COPY --parents --from=files /./tree/a/one /above/
COPY --exclude=*.md --exclude=b/* tree /excluded/
COPY --exclude=*.md tree/a/* /globbed/
ARG WORD=expanded
COPY <<ONE <<"TWO" /heredocs/
$WORD
ONE
$WORD
TWO
COPY --chmod=755 <<-END /bin/script
	#!/bin/sh
	echo a script of $WORD
	END
RUN cat <<ONE > /both && cat <<TWO >> /both
$WORD
ONE
second
TWO
