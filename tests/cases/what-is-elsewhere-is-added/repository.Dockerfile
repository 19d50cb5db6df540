FROM busybox
ARG WEB
ADD $WEB/repository.git /head
ADD --chown=7:8 $WEB/repository.git#v1:app /tag
ADD --keep-git-dir=true $WEB/repository.git#side /side
