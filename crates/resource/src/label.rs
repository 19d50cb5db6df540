//! The labels that Docker Compose's tools know our objects by. The engine reads none of them.

/// On everything: the project's name.
pub const PROJECT: &str = "com.docker.compose.project";
/// On containers: the service's name.
pub const SERVICE: &str = "com.docker.compose.service";
/// On containers that are no one-offs: the replica's number.
pub const CONTAINER_NUMBER: &str = "com.docker.compose.container-number";
/// On containers: `True` or `False`.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// On one-offs: a random id, 64 hexadecimal digits.
pub const SLUG: &str = "com.docker.compose.slug";
/// On containers, networks and volumes: SHA-256 of the definition, hexadecimal.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// On containers: digest of the image's manifest.
pub const IMAGE: &str = "com.docker.compose.image";
/// On containers that mount images: `target=digest of the manifest`, joined by commas.
pub const IMAGE_VOLUME_DIGEST: &str = "com.docker.compose.image-volume-digest";
/// On containers: `service:condition:restart`, joined by commas.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// On containers and pods: absolute paths of the Compose files, joined by commas.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// On containers and pods: the project's directory.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// On containers: the `--env-file` paths, joined by commas.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";
/// On containers and pods of a copy: the name of the project that it is a copy of. Ours.
pub const ORIGIN: &str = "compose.project.origin";
/// On containers: SHA-256 of the variables that providers of other services gave it, hexadecimal. Ours.
pub const PROVIDED: &str = "compose.provided";
/// On everything: the version of this program.
pub const VERSION: &str = "com.docker.compose.version";
/// On a container that took another's place: `service-number`, or its fixed name.
pub const REPLACE: &str = "com.docker.compose.replace";
/// On containers that are run before a service starts: `pre_start`.
pub const HOOK: &str = "com.docker.compose.hook";
/// On networks: the key in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// On volumes: the key in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
