//! Scenarios about what shells make of the scripts of `compose completion`.

use scenarios::{World, scenario};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

scenario! {
    /// In fish, zsh and bash themselves, by both names of the program: verbs, flags, values, services, profiles
    /// and images are completed, and what is not for people to type is not offered. The Docker CLI, which
    /// asks a plugin in its own words, is answered in them.
    shells_complete_what_is_typed, |world| {
        world.compose("up -d").ok();
        for name in ["compose", "docker-compose"] {
            on_path(world, name);
        }
        for shell in ["bash", "fish", "zsh"] {
            world.write(&format!("script.{shell}"), &world.compose(&format!("completion {shell}")).ok().stdout);
        }
        for (typed, words) in [
            ("compose up w", "web worker"),
            ("compose --profile ", "debug jobs"),
            ("compose image rm ", "busybox:latest"),
            ("compose --progress js", "json"),
            ("compose --progress=js", "--progress=json"),
            ("compose down --rmi ", "all local"),
            ("docker-compose logs --foll", "--follow"),
            ("docker-compose -f other.yaml start ", "shop"),
            ("compose __c", ""),
            ("compose --env-file compl", "completion.env"),
        ] {
            assert_eq!(in_fish(world, typed), words, "{typed}");
        }
        let typed = ["compose up wor", "docker-compose --profile de", "compose --progress=js", "compose up --pull mis", "docker-compose resta", "compose logs --foll"];
        let completed = ["compose up worker", "docker-compose --profile debug", "compose --progress=json", "compose up --pull missing", "docker-compose restart", "compose logs --follow"];
        assert_eq!(in_zsh(world, &typed), completed);
        for (typed, words) in [
            ("docker-compose up wor", "worker"),
            ("compose up --pull = mis", "missing"),
            ("compose resta", "restart"),
            ("compose __c", ""),
            // No flags before one is begun, and no files where it is known what fits.
            ("compose up ''", "db web worker"),
            ("compose --progress ''", "auto json plain quiet tty"),
            ("compose image rm busybox : la", "latest"),
            ("compose explain unknown-se", "unknown-secret unknown-service"),
        ] {
            assert_eq!(in_bash(world, typed), words, "{typed}");
        }
        let asked = |line: &str| world.run(&line.split(' ').collect::<Vec<_>>(), "").ok().stdout;
        assert_eq!(asked("__complete compose up w"), "web\nworker\n:4\n");
        assert_eq!(asked("__complete compose resta"), "restart\tRestart containers\n:4\n");
        assert_eq!(asked("__complete compose -f "), ":0\n");
    }
}

/// Puts the program into the project's folder `bin`, as it is run here.
fn on_path(world: &World, name: &str) {
    let program = world.program();
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    std::fs::create_dir_all(world.project().join("bin")).unwrap();
    world.write(&format!("bin/{name}"), &format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")));
    let path = world.project().join("bin").join(name);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A shell in the project's folder, where the program is on the path.
fn shell(world: &World, name: &str) -> Command {
    let program = world.program();
    let mut command = Command::new("timeout");
    command.args(["60", name]).current_dir(world.project()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = format!("{}:/usr/bin:/bin", world.project().join("bin").display());
    command.env("PATH", path).env("TERM", "xterm").env("ZDOTDIR", world.project());
    command
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words that fish offers for this line, without what they mean.
fn in_fish(world: &World, typed: &str) -> String {
    let mut fish = shell(world, "fish");
    fish.args(["--no-config", "-c", &format!("source script.fish; complete -C '{typed}'")]);
    let offered = printed(fish);
    let words = offered.lines().map(|line| line.split('\t').next().unwrap());
    words.collect::<Vec<_>>().join(" ")
}

/// What zsh makes of each of these lines when the tabulator is pressed behind it. The shell runs on a terminal of
/// its own, and its key shows the line when it has done its work.
fn in_zsh(world: &World, typed: &[&str]) -> Vec<String> {
    world.write(
        ".zshrc",
        "PS1='READY> '; autoload -Uz compinit; compinit -u -D; source ./script.zsh
         pressed() { zle complete-word; print -r -- \"<$BUFFER>\"; BUFFER=; zle reset-prompt }
         zle -N pressed; bindkey '^I' pressed\n",
    );
    world.write(
        "drive.zsh",
        "zmodload zsh/zpty; zpty z 'zsh -i'; zpty -r -m z seen '*READY> *'
         for line in \"$@\"; do
             zpty -w -n z \"$line\"$'\\t'; zpty -r -m z seen '*<*>*'
             print -r -- \"${${seen##*<}%%>*}\"
         done\n",
    );
    let mut zsh = shell(world, "zsh");
    zsh.args(["-f", "drive.zsh"]).args(typed);
    printed(zsh).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The words that bash offers for a line of words separated by blanks.
fn in_bash(world: &World, typed: &str) -> String {
    let words: Vec<&str> = typed.split(' ').collect();
    let (program, last, before) = (words[0], words[words.len() - 1], words[words.len() - 2]);
    let lines = format!(
        ". ./script.bash\nwords=$(complete -p {program}); words=${{words##*-F }}\n\
         COMP_WORDS=({typed}) COMP_CWORD={}\n${{words%% *}} {program} '{last}' '{before}'\n\
         echo \"${{COMPREPLY[*]}}\"\n",
        words.len() - 1
    );
    let mut bash = shell(world, "bash");
    bash.args(["--norc", "-c", &lines]);
    printed(bash).trim_end().to_owned()
}
