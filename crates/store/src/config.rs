//! An image's configuration: Docker's JSON, which OCI's is nearly the same as (a health check and a
//! shell are Docker's alone, and are read from both).

use resource::{HealthCheck, ImageConfig, Labels, Platform, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The configuration document, as far as it means something here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Document {
    pub(crate) created: Option<String>,
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) config: Runtime,
    pub(crate) rootfs: RootFs,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) diff_ids: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Runtime {
    #[serde(deserialize_with = "nullable")]
    user: String,
    #[serde(deserialize_with = "nullable")]
    exposed_ports: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "nullable")]
    env: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    volumes: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "nullable")]
    working_dir: String,
    #[serde(deserialize_with = "nullable")]
    labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Check>,
    #[serde(deserialize_with = "nullable")]
    shell: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    on_build: Vec<String>,
}

/// Durations are nanoseconds; 0 inherits the default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Check {
    #[serde(deserialize_with = "nullable")]
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

/// Go writes an empty list or map as `null`.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Document {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The document of an image made here, with the diff ids of its layers.
    pub(crate) fn of(
        config: &ImageConfig,
        platform: &Platform,
        created: Timestamp,
        diff_ids: Vec<String>,
    ) -> Self {
        Self {
            created: Some(created.to_string()),
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            config: Runtime::of(config),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        }
    }

    pub(crate) fn platform(&self) -> Platform {
        let or = |text: &str, default: String| if text.is_empty() { default } else { text.to_owned() };
        let host = Platform::host();
        Platform {
            os: or(&self.os, host.os),
            architecture: or(&self.architecture, host.architecture),
            variant: self.variant.clone().filter(|variant| !variant.is_empty()),
        }
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.created.as_deref()?.parse().ok()
    }
}

impl Runtime {
    fn of(config: &ImageConfig) -> Self {
        let keys = |keys: &[String]| {
            keys.iter().map(|key| (key.clone(), serde_json::Value::Object(serde_json::Map::new()))).collect()
        };
        Self {
            user: config.user.clone(),
            exposed_ports: keys(&config.exposed_ports),
            env: config.environment.clone(),
            entrypoint: config.entrypoint.clone(),
            cmd: config.command.clone(),
            volumes: keys(&config.volumes),
            working_dir: config.working_dir.clone(),
            labels: config.labels.clone(),
            stop_signal: config.stop_signal.clone(),
            healthcheck: config.healthcheck.as_ref().map(Check::of),
            shell: config.shell.clone(),
            on_build: config.triggers.clone(),
        }
    }

    pub(crate) fn into_config(self) -> ImageConfig {
        let healthcheck = self.healthcheck.and_then(|check| check.into_check(&self.shell));
        ImageConfig {
            entrypoint: self.entrypoint,
            command: self.cmd,
            environment: self.env,
            working_dir: if self.working_dir == "/" { String::new() } else { self.working_dir },
            user: self.user,
            volumes: self.volumes.into_keys().collect(),
            exposed_ports: self.exposed_ports.into_keys().collect(),
            labels: self.labels,
            stop_signal: self.stop_signal.filter(|signal| !signal.is_empty()),
            healthcheck,
            shell: self.shell,
            triggers: self.on_build,
        }
    }
}

impl Check {
    fn of(check: &HealthCheck) -> Self {
        let nanoseconds = |duration: Option<Duration>| {
            duration.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
        };
        let mut test = vec!["CMD".to_owned()];
        test.extend(check.test.iter().cloned());
        Self {
            test,
            interval: nanoseconds(check.interval),
            timeout: nanoseconds(check.timeout),
            start_period: nanoseconds(check.start_period),
            start_interval: nanoseconds(check.start_interval),
            retries: check.retries.map_or(0, i64::from),
        }
    }

    /// `None` when the check is switched off or says nothing.
    fn into_check(self, shell: &[String]) -> Option<HealthCheck> {
        let (kind, rest) = self.test.split_first()?;
        let test = match (kind.as_str(), rest) {
            ("CMD", [_, ..]) => rest.to_vec(),
            ("CMD-SHELL", [script]) => {
                let default = ["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = if shell.is_empty() { &default } else { shell };
                shell.iter().chain([script]).cloned().collect()
            }
            _ => return None,
        };
        let duration = |nanoseconds: i64| {
            u64::try_from(nanoseconds).ok().filter(|value| *value > 0).map(Duration::from_nanos)
        };
        Some(HealthCheck {
            test,
            interval: duration(self.interval),
            timeout: duration(self.timeout),
            retries: u32::try_from(self.retries).ok().filter(|retries| *retries > 0),
            start_period: duration(self.start_period),
            start_interval: duration(self.start_interval),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_writes_is_read() {
        let text = br#"{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05.6Z",
            "config":{"Env":["A=b","EMPTY="],"Cmd":["/bin/sh"],"Entrypoint":null,"User":"","Volumes":{"/data":{}},
            "ExposedPorts":{"80/tcp":{}},"WorkingDir":"/w","Labels":null,"Shell":["/bin/bash","-c"],"OnBuild":null,
            "Healthcheck":{"Test":["CMD-SHELL","curl -f x"],"Interval":2000000000,"Retries":4}},
            "rootfs":{"type":"layers","diff_ids":["sha256:x"]},"history":[]}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.platform().to_string(), "linux/amd64");
        assert!(document.created().is_some());
        let config = document.config.into_config();
        assert_eq!(config.volumes, ["/data"]);
        assert_eq!(config.exposed_ports, ["80/tcp"]);
        assert!(config.entrypoint.is_empty());
        let check = config.healthcheck.unwrap();
        assert_eq!(check.test, ["/bin/bash", "-c", "curl -f x"]);
        assert_eq!(check.interval, Some(Duration::from_secs(2)));
        assert_eq!((check.retries, check.timeout), (Some(4), None));
    }

    #[test]
    fn a_configuration_made_here_reads_back() {
        let config = ImageConfig {
            command: vec!["/server".into()],
            volumes: vec!["/data".into()],
            stop_signal: Some("USR1".into()),
            healthcheck: Some(HealthCheck {
                test: vec!["/probe".into()],
                interval: Some(Duration::from_secs(1)),
                timeout: None,
                retries: Some(2),
                start_period: None,
                start_interval: None,
            }),
            ..ImageConfig::default()
        };
        let document =
            Document::of(&config, &Platform::host(), Timestamp::UNIX_EPOCH, vec!["sha256:x".to_owned()]);
        let bytes = serde_json::to_vec(&document).unwrap();
        assert_eq!(Document::parse(&bytes).unwrap().config.into_config(), config);
    }

    #[test]
    fn a_check_of_none_is_none() {
        let none = Check { test: vec!["NONE".into()], ..Check::default() };
        assert!(none.into_check(&[]).is_none());
        assert!(Check::default().into_check(&[]).is_none());
    }
}
