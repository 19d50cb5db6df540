//! What can go wrong between us and a registry.

use ::tls::PeerFault;
use resource::Digest;
use std::io;
use std::path::PathBuf;

/// Reading the configuration of registries failed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A `registries.conf` is not TOML of the form of version 2.
    #[error("{} is no registries.conf", path.display())]
    Registries {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A value in a `registries.conf` makes no sense.
    #[error("{}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of credentials is not JSON of the known form.
    #[error("{} holds no credentials", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

/// What was to be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To pull it, or to look at it.
    Get,
    /// To push it.
    Put,
}

/// An image could not be had, or given.
#[derive(Debug, thiserror::Error)]
#[error("{}", match act {
    Act::Get => format!("cannot get {image} from {endpoint}"),
    Act::Put => format!("the registry {endpoint} did not take it"),
})]
pub struct RegistryError {
    /// What was to be done.
    pub act: Act,
    /// The image's reference, as people write it.
    pub image: String,
    /// The name that credentials for that registry are kept under: `docker.io`.
    pub registry: String,
    /// The registry that was asked last, `registry-1.docker.io` or a mirror.
    pub endpoint: String,
    /// Why not.
    #[source]
    pub source: Box<Failure>,
    /// The places that were tried before, and why each did not do.
    pub before: Vec<(String, Failure)>,
}

/// Why a registry did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It knows no such image, or hides it from us.
    #[error("there is no such image{}{}", if *denied { ", or reading it needs a login" } else { "" }, words(said))]
    NotFound {
        /// The registry spoke of a missing permission rather than of a missing image.
        denied: bool,
        /// What it says of that; may be empty.
        said: String,
    },
    /// It has the image's manifest, and does not let what that is made of be read.
    #[error("the registry does not let its {what} {digest} be read{}", words(said))]
    Withheld {
        /// `layer`, `configuration`.
        what: &'static str,
        /// What was asked for.
        digest: Digest,
        /// What it says of that; may be empty.
        said: String,
    },
    /// It has the image's manifest, and not what that is made of.
    #[error(
        "the registry lacks its {what} {digest}{}",
        if *elsewhere { ", which is to be had elsewhere; nothing is fetched from the addresses in a manifest" } else { "" }
    )]
    Lacks {
        /// `layer`, `configuration`.
        what: &'static str,
        /// What was asked for.
        digest: Digest,
        /// The manifest says that the registry need not have it.
        elsewhere: bool,
    },
    /// It wants credentials, other ones than it was given.
    #[error(
        "{}{}",
        if *given { "the registry does not accept the stored credentials" } else { "the registry wants a login" },
        remark.as_ref().map_or_else(String::new, |remark| format!("; {remark}"))
    )]
    Unauthorised {
        /// Credentials were sent.
        given: bool,
        /// The helper that should have given credentials and did not, and why; or what the token service says.
        remark: Option<String>,
    },
    /// It knows who asks, and they may not write there, or it lets nobody write who has not logged in.
    #[error(
        "{}{}",
        if *given { "the stored credentials do not allow to write there" } else { "writing there needs a login" },
        words(said)
    )]
    Forbidden {
        /// Credentials were sent.
        given: bool,
        /// What it says of that; may be empty.
        said: String,
    },
    /// It has nothing of that name to write to, and does not make it by itself.
    #[error("there is no such repository{}", words(said))]
    NoRepository {
        /// What it says of that; may be empty.
        said: String,
    },
    /// It allows no more requests for now.
    #[error("the registry allows no more requests for now{}", after.map_or_else(String::new, |seconds| format!("; it wants to be left alone for {seconds} seconds")))]
    RateLimited {
        /// Seconds after which it may be asked again, when it says so.
        after: Option<u64>,
    },
    /// It could not be connected to, or the connection broke again and again.
    #[error("{}", unreached(address, source))]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the kernel or the TLS library said.
        #[source]
        source: io::Error,
    },
    /// registries.conf forbids it.
    #[error("registries.conf blocks it")]
    Blocked,
    /// It has no registry in its name, and registries.conf neither says which is meant nor lets it be guessed.
    #[error(
        "its name may be of {}, and `short-name-mode` of registries.conf wants it to be clear; write the registry, or give the name an alias there",
        registries.join(" or ")
    )]
    Ambiguous {
        /// `unqualified-search-registries`.
        registries: Vec<String>,
    },
    /// Content does not have the digest it was asked for by.
    #[error("the {what} has digest {found} and should have {expected}")]
    WrongDigest {
        /// `manifest`, `configuration`, `layer`.
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The image is not made for this platform.
    #[error("it is not made for {wanted}; {}", offered(available))]
    NoPlatform {
        /// The platform asked for.
        wanted: String,
        /// Those it is made for.
        available: Vec<String>,
    },
    /// It is something else than a container image.
    #[error("it is no container image: {0}")]
    NotAnImage(String),
    /// What answers is a site for people.
    #[error("a web page came instead of its {what}")]
    Page {
        /// `manifest`, `token`.
        what: &'static str,
    },
    /// It says more than an honest registry would.
    #[error("the {what} has more than {limit} bytes")]
    TooBig {
        /// `manifest`, `configuration`, `token`.
        what: &'static str,
        /// The bound, bytes.
        limit: u64,
    },
    /// It answered with an unexpected status.
    #[error("{url} answers {status}{}", if detail.is_empty() { String::new() } else { format!(": {detail}") })]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What its body says, shortened.
        detail: String,
    },
    /// It breaks the protocol.
    #[error("{url} breaks the protocol: {reason}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// How.
        reason: String,
    },
}

/// What somebody can do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Look whether the image is named right, or log in where it is one that not everybody may see.
    NameOrLogin,
    /// Log in.
    Login,
    /// Have the authority of the registry at this `host:port` known here.
    Authority(String),
    /// Allow that registry to be spoken to in the clear.
    Insecure,
    /// Come again later; who has logged in may be allowed more.
    Later,
    /// Come again later: it is the registry's own trouble.
    Trouble,
    /// Look whether the registry is named right, and can be reached from here.
    Reach,
    /// Look who answers there: it is no registry, or something between here and it answers in its place.
    Answerer,
    /// Look whether the repository is named right, or make it there.
    Repository,
    /// Have more taken at once there, or send less.
    Size,
    /// Have the registry mended: it gives something else than it promises.
    Damaged,
    /// Ask for this platform, which the image is made for, and have it emulated.
    Platform(String),
}

/// What a registry says, behind what that means.
pub(crate) fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it says: {said}") }
}

/// Platforms that are named where the one that is wanted is missing.
const OFFERED: usize = 20;

fn offered(available: &[String]) -> String {
    let named = available.iter().take(OFFERED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match available.len() {
        0 => "its index has no image at all".to_owned(),
        1..=OFFERED => format!("there is {named}"),
        more => format!("there is {named}, and {} more", more - OFFERED),
    }
}

/// What is said of a connection: one that broke had been there.
fn unreached(address: &str, source: &io::Error) -> String {
    match source.kind() {
        // rustls: who answers has not proved to be the one who was asked.
        io::ErrorKind::InvalidData => format!("there is no secure connection to {address}"),
        _ if broke(source) => format!("the connection to {address} is no good"),
        _ => format!("{address} cannot be reached"),
    }
}

/// Whether a connection had been there; what hyper says of one has no other kind, and where one was too slow, it is
/// said how.
fn broke(source: &io::Error) -> bool {
    let too_slow = source.kind() == io::ErrorKind::TimedOut && source.get_ref().is_some();
    too_slow || matches!(source.kind(), io::ErrorKind::Other | io::ErrorKind::UnexpectedEof)
}

impl Failure {
    /// Whether the registry said that it has no such image, or none for us.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Unauthorised { given: false, .. })
    }

    /// What somebody can do about it, where that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NotFound { .. } => Some(Remedy::NameOrLogin),
            Self::Unauthorised { .. } | Self::Forbidden { .. } | Self::Withheld { .. } => Some(Remedy::Login),
            Self::Unreachable { address, source } => {
                let fault = source.get_ref().and_then(|inner| inner.downcast_ref::<PeerFault>());
                let Some(fault) = fault else {
                    return Some(if broke(source) { Remedy::Damaged } else { Remedy::Reach });
                };
                match fault {
                    PeerFault::UnknownAuthority => Some(Remedy::Authority(address.clone())),
                    PeerFault::NoTls => Some(Remedy::Insecure),
                    _ => None,
                }
            }
            Self::RateLimited { .. } => Some(Remedy::Later),
            Self::Status { status: 500.., .. } => Some(Remedy::Trouble),
            Self::Status { status: 413, .. } => Some(Remedy::Size),
            Self::NoRepository { .. } => Some(Remedy::Repository),
            Self::Status { status: 300..=399 | 404, .. } | Self::Page { .. } | Self::Protocol { .. } => {
                Some(Remedy::Answerer)
            }
            Self::WrongDigest { .. } | Self::Lacks { elsewhere: false, .. } => Some(Remedy::Damaged),
            Self::NoPlatform { available, .. } => {
                let runnable = available.iter().find(|platform| platform.starts_with("linux/"));
                runnable.cloned().map(Remedy::Platform)
            }
            _ => None,
        }
    }

    /// Whether asking again may help: the network's fault rather than an answer.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}
