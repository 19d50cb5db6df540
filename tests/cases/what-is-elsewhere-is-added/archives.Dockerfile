FROM busybox
ARG WEB
ADD archive.tar /tar/
ADD archive.tar.gz /gz/
ADD archive.tar.zst /zst/
ADD archive.tar.xz /xz/
ADD archive.tar.bz2 /bz2/
ADD --unpack=false archive.tar.gz /whole/
ADD $WEB/archive.tar.gz /fetched/
ADD --unpack=true $WEB/archive.tar.gz /unpacked/
