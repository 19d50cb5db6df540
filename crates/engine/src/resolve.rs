//! stub
/// x
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Neither the container nor the image names a program.
    #[error("no command specified")]
    NoCommand,
}
