//! Names that editors give to files which are gone before anybody wants them.

use std::ffi::OsStr;
use std::path::Path;

/// Whether a path is an editor's temporary file, or lies in a folder of one (`.idea`), or in `.git`.
/// `relative` is what lies below the watched path: a project kept in a folder of such a name is watched.
pub fn is_temporary(relative: &Path) -> bool {
    let mut names = relative.components().map(|component| component.as_os_str()).peekable();
    while let Some(name) = names.next() {
        if is_tool_folder(name) || (names.peek().is_none() && is_temporary_name(name)) {
            return true;
        }
    }
    false
}

fn is_tool_folder(name: &OsStr) -> bool {
    name == ".git" || name == ".idea"
}

/// vim (backup, swap, and the file `4913` by which it tries a folder), Emacs (auto-save and locks),
/// JetBrains' safe write, Kate.
fn is_temporary_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let hidden = |endings: &[&str]| name.starts_with('.') && endings.iter().any(|end| name.ends_with(end));
    name.ends_with('~')
        || hidden(&[".swp", ".swx", ".swo", ".swn", ".kate-swp"])
        || name == "4913"
        || name.starts_with(".#")
        || (name.len() > 1 && name.starts_with('#') && name.ends_with('#'))
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_for_a_moment_is_known() {
        for name in [
            "a.py~",
            ".a.py.swp",
            "src/.a.swx",
            "4913",
            ".#lock",
            "#auto#",
            "a.py___jb_tmp___",
            "a___jb_old___",
            ".idea/workspace.xml",
            ".git/index",
            "sub/.git/HEAD",
            ".a.kate-swp",
        ] {
            assert!(is_temporary(Path::new(name)), "{name}");
        }
        for name in ["a.py", ".gitignore", "swp", "a.swp", "#", "src/4913/a", ".github/x", "idea/a"] {
            assert!(!is_temporary(Path::new(name)), "{name}");
        }
    }
}
