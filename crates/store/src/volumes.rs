//! Volumes: a folder of data with a document beside it.
//!
//! A volume appears whole, by renaming a finished folder. Its document is on the disk before that; what
//! is in it is the business of who writes it.

use crate::layers::discard;
use crate::{Store, StoreError};
use resource::{Labels, Timestamp, VolumeName, VolumeRecord, VolumeSpec, document};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

impl Store {
    /// Makes a volume. One that is there stays as it is; its record is returned.
    ///
    /// # Errors
    /// [`StoreError::BadVolumeName`], [`StoreError::Io`].
    pub fn create_volume(&self, spec: &VolumeSpec, anonymous: bool) -> Result<VolumeRecord, StoreError> {
        if !is_name(spec.name.as_str()) {
            return Err(StoreError::BadVolumeName(spec.name.clone()));
        }
        if let Some(record) = self.volume(&spec.name) {
            return Ok(record);
        }
        self.prepare()?;
        let record = VolumeRecord { spec: spec.clone(), created: Timestamp::now(), anonymous };
        let (target, folder) = (self.roots.volume(&spec.name), self.temporary("volume")?);
        let failed = |source| StoreError::io("make", &target, source);
        let made = make(&folder, &record).and_then(|()| std::fs::rename(&folder, &target));
        match made {
            Ok(()) => Ok(record),
            Err(error) => {
                discard(&folder)?;
                // Somebody else made it meanwhile, or it is there without its document.
                match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                        self.adopt(&target, record).map_err(failed)
                    }
                    _ => Err(failed(error)),
                }
            }
        }
    }

    /// Makes an anonymous volume: 64 random hexadecimal digits are its name.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn create_anonymous_volume(&self, labels: &Labels) -> Result<VolumeRecord, StoreError> {
        let spec = VolumeSpec {
            name: Self::anonymous_volume_name()?,
            external: false,
            driver: "local".to_owned(),
            options: BTreeMap::new(),
            labels: labels.clone(),
        };
        self.create_volume(&spec, true)
    }

    /// A name for an anonymous volume: 64 random hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Io`] without random numbers.
    pub fn anonymous_volume_name() -> Result<VolumeName, StoreError> {
        use ring::rand::SecureRandom as _;
        let mut random = [0; 32];
        let path = Path::new("/dev/urandom");
        let fill = ring::rand::SystemRandom::new().fill(&mut random);
        fill.map_err(|_| StoreError::io("read", path, io::ErrorKind::Other.into()))?;
        Ok(VolumeName(random.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The volume's document.
    pub fn volume(&self, name: &VolumeName) -> Option<VolumeRecord> {
        is_name(name.as_str()).then_some(())?;
        document::decode(&std::fs::read(self.roots.volume(name).join("volume.json")).ok()?)
    }

    /// All volumes, by name.
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        let entries = std::fs::read_dir(self.roots.data.join("volumes")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut volumes: Vec<VolumeRecord> =
            names.filter_map(|name| self.volume(&VolumeName(name))).collect();
        volumes.sort_by(|left, right| left.spec.name.cmp(&right.spec.name));
        volumes
    }

    /// Removes a volume with its content. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError::BadVolumeName`], [`StoreError::Io`].
    pub fn remove_volume(&self, name: &VolumeName) -> Result<bool, StoreError> {
        if !is_name(name.as_str()) {
            return Err(StoreError::BadVolumeName(name.clone()));
        }
        let (folder, dead) = (self.roots.volume(name), self.unused("dead"));
        match std::fs::rename(&folder, &dead) {
            Ok(()) => discard(&dead).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("delete", &folder, error)),
        }
    }

    /// `DATA/volumes/NAME/_data`: the folder to mount.
    pub fn volume_path(&self, name: &VolumeName) -> PathBuf {
        self.roots.volume(name).join("_data")
    }

    /// A volume that has data and no whole document (a power cut) gets a new one; data is never lost.
    fn adopt(&self, folder: &Path, record: VolumeRecord) -> io::Result<VolumeRecord> {
        if let Some(record) = self.volume(&record.spec.name) {
            return Ok(record);
        }
        write(&folder.join("volume.json"), &record)?;
        Ok(record)
    }
}

fn make(folder: &Path, record: &VolumeRecord) -> io::Result<()> {
    let data = folder.join("_data");
    sys::file::create_private_folder(&data)?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    write(&folder.join("volume.json"), record)
}

fn write(path: &Path, record: &VolumeRecord) -> io::Result<()> {
    let bytes = document::encode(record)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file =
        std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    std::fs::rename(temporary, path)
}

/// What Docker takes as the name of a volume, two characters at least; it is a folder's name too.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    name.len() <= 255
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_folder() {
        assert!(is_name("shop_data"));
        for bad in ["", ".", "..", "a/b", "../a", "-a", "a b", &"a".repeat(256)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
