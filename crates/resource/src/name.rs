//! Names and ids: a newtype for each kind of object, so that one cannot be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

name! {
    /// The name of a pod, which is the name of its project: `[a-z0-9][a-z0-9_-]*`.
    PodName
}
name! {
    /// The name of a container, unique in a store: `shop-db-1`.
    ContainerName
}
name! {
    /// 64 hexadecimal digits, random; the first twelve are what people see.
    ContainerId
}
name! {
    /// The real name of a network, unique in a store: `shop_default`.
    NetworkName
}
name! {
    /// The real name of a volume, unique in a store: `shop_data`; anonymous ones are 64 hexadecimal digits.
    VolumeName
}

impl ContainerId {
    /// The first twelve digits, which is how a container is shown and what it has as its host name.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}
