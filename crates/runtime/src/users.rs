//! Users and groups of an image: names to numbers. Pure: it is handed the text of the files.

/// Who a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary group ids, the group id first: a file may deny its group what it allows others, and a
    /// program that sets another group id must not escape that (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// Home folder; `/` when unknown.
    pub home: String,
}

/// A name that the image does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownUser {
    /// No line of /etc/passwd has this name.
    #[error("no user `{0}` in the image's /etc/passwd")]
    User(String),
    /// No line of /etc/group has this name.
    #[error("no group `{0}` in the image's /etc/group")]
    Group(String),
}

/// Resolves `user[:group]` and further groups, names or numbers, as Docker does: a number needs no
/// line; without a group the user's own is taken, and 0 for a number without a line; supplementary
/// groups come from the group file when no group was named. Empty is root.
///
/// # Errors
/// [`UnknownUser`].
pub fn resolve(user: &str, groups: &[String], passwd: &str, group: &str) -> Result<User, UnknownUser> {
    let (name, group_name) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let number = name.parse::<u32>().ok();
    let line = entries(passwd, 7)
        .find(|fields| fields[0] == name)
        .or_else(|| entries(passwd, 7).find(|fields| number.is_some() && fields[2].parse().ok() == number));
    let (uid, own_gid, home, login) = match (&line, number) {
        (Some(fields), _) => (
            fields[2].parse().map_err(|_| UnknownUser::User(name.to_owned()))?,
            fields[3].parse().map_err(|_| UnknownUser::User(name.to_owned()))?,
            if fields[5].is_empty() { "/" } else { fields[5] },
            Some(fields[0]),
        ),
        (None, Some(uid)) => (uid, 0, "/", None),
        (None, None) => return Err(UnknownUser::User(name.to_owned())),
    };
    let mut resolved = User { uid, gid: own_gid, groups: vec![], home: home.to_owned() };
    match group_name.filter(|name| !name.is_empty()) {
        Some(name) => resolved.gid = group_id(name, group)?,
        None => {
            if let Some(login) = login {
                let member = |fields: &Vec<&str>| fields[3].split(',').any(|member| member == login);
                let ids = entries(group, 4).filter(member).filter_map(|fields| fields[2].parse::<u32>().ok());
                resolved.groups.extend(ids);
            }
        }
    }
    for name in groups {
        resolved.groups.push(group_id(name, group)?);
    }
    resolved.groups.sort_unstable();
    resolved.groups.dedup();
    resolved.groups.retain(|id| *id != resolved.gid);
    resolved.groups.insert(0, resolved.gid);
    Ok(resolved)
}

/// The id of a group given by name or number.
fn group_id(name: &str, group: &str) -> Result<u32, UnknownUser> {
    let unknown = || UnknownUser::Group(name.to_owned());
    if let Some(fields) = entries(group, 4).find(|fields| fields[0] == name) {
        return fields[2].parse().map_err(|_| unknown());
    }
    name.parse().map_err(|_| unknown())
}

/// Lines with at least this many fields when padded; comments and empty lines are no entries.
fn entries(text: &str, count: usize) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(move |line| {
        let mut fields: Vec<_> = line.split(':').collect();
        fields.resize(fields.len().max(count), "");
        fields
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:w:/var/www:/bin/sh\n# no\n1000:x:7:8::/odd:\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nadm:x:4:web,other\nlog:x:5:web\n";

    #[test]
    fn names_numbers_and_groups() {
        let web = User { uid: 33, gid: 34, groups: vec![34, 4, 5], home: "/var/www".into() };
        assert_eq!(resolve("web", &[], PASSWD, GROUP), Ok(web.clone()));
        assert_eq!(resolve("33", &[], PASSWD, GROUP), Ok(web.clone()));
        assert_eq!(
            resolve("web:adm", &[], PASSWD, GROUP),
            Ok(User { gid: 4, groups: vec![4], ..web.clone() })
        );
        let added = ["9".into(), "web".into()];
        assert_eq!(resolve("web:", &added, PASSWD, GROUP), Ok(User { groups: vec![34, 4, 5, 9], ..web }));
    }

    #[test]
    fn a_number_needs_no_line_and_an_unknown_name_is_an_error() {
        let user = User { uid: 4711, gid: 0, groups: vec![0], home: "/".into() };
        assert_eq!(resolve("4711", &[], PASSWD, GROUP), Ok(user.clone()));
        assert_eq!(resolve("4711:12", &[], "", ""), Ok(User { gid: 12, groups: vec![12], ..user }));
        assert_eq!(resolve("", &[], "", "").map(|user| user.uid), Ok(0));
        assert_eq!(resolve("nobody", &[], PASSWD, GROUP), Err(UnknownUser::User("nobody".into())));
        assert_eq!(resolve("web:no", &[], PASSWD, GROUP), Err(UnknownUser::Group("no".into())));
        assert_eq!(resolve("web", &["no".into()], PASSWD, GROUP), Err(UnknownUser::Group("no".into())));
    }

    #[test]
    fn a_name_of_digits_wins_over_the_number() {
        assert_eq!(resolve("1000", &[], PASSWD, GROUP).map(|user| user.uid), Ok(7));
    }
}
