//! Scenarios about builds that take files from web servers, git repositories and archives.

use scenarios::{Web, World, scenario};
use std::path::Path;
use std::process::Command;

scenario! {
    /// `ADD` takes files of web servers, with the time they were changed and for root alone to read, under
    /// the name in their address; what has not changed is not sent again, a checksum needs no question and
    /// is held to. It takes commits of git repositories, and unpacks archives of every usual compression.
    /// A context may be a folder of a repository, an archive, or the text of a Dockerfile.
    what_is_elsewhere_is_added, |world| {
        let served = tempfile::tempdir().unwrap();
        let web = Web::serve(served.path());
        let serve = |name: &str, content: &str| std::fs::write(served.path().join(name), content).unwrap();
        serve("file", "first\n");
        serve("kept", "content\n");
        serve("text", "FROM busybox\nRUN echo of a text > /word\n");
        web.redirect("/moved", "/file");
        for archive in ["archive.tar.gz", "archive.tar.xz"] {
            std::fs::copy(world.project().join(archive), served.path().join(archive)).unwrap();
        }
        make_repository(served.path());
        world.write(".env", &format!("WEB=http://127.0.0.1:{}\n", web.port));
        // Whoever keeps new files to themselves has the same in the image.
        let mut command = Command::new("/bin/sh");
        let program = world.program();
        command.args(["-c", "umask 077 && exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
        command.arg("build").current_dir(world.project()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        world.finish(command, "").ok();
        world.compose("up -d").ok();

        let listed = "cd / && stat -c '%n %u:%g:%a %Y' folder/* renamed && cat folder/file renamed kept";
        assert_eq!(
            inside(world, "files", listed),
            "folder/file 0:0:600 1700000000\nfolder/moved 0:0:600 1700000000\nrenamed 7:8:700 1700000000\n\
             first\nfirst\ncontent\n"
        );
        for folder in ["tar", "gz", "zst", "xz", "bz2", "unpacked"] {
            let shown = format!("cd /{folder}/inside && stat -c %u:%g:%a:%Y file && cat file");
            assert_eq!(inside(world, "archives", &shown), "3:4:640:1700000000\npacked\n", "{folder}");
        }
        assert_eq!(inside(world, "archives", "ls /whole /fetched | grep -c gz"), "2\n");
        let shown = "ls -A /head /tag /side | grep -v '^$'; stat -c %u:%g /tag/file; cat /side/outside";
        assert_eq!(
            inside(world, "repository", shown),
            "/head:\napp\noutside\n/side:\n.git\napp\noutside\n/tag:\nDockerfile\nfile\n7:8\nat the side\n"
        );
        assert_eq!(inside(world, "repository", "stat -c %a /head /head/app /head/outside"), "755\n755\n644\n");
        let shown = "cat /from-git /from-archive /from-main";
        assert_eq!(inside(world, "context", shown), "tagged\npacked\noutside\n");
        assert_eq!(inside(world, "text", "cat /word"), "of a text\n");
        assert_eq!(inside(world, "queried", shown), "tagged\npacked\nat the side\n");

        web.answers();
        world.compose("build files").ok().says("CACHED");
        let answers = web.answers();
        assert!(answers.iter().all(|answer| !answer.ends_with("200")), "{answers:?}");
        assert!(answers.iter().any(|answer| answer == "GET /file?query 304"), "{answers:?}");
        assert!(answers.iter().all(|answer| !answer.contains("/kept")), "{answers:?}");
        assert!(world.compose("build context repository").ok().stderr.contains("CACHED"));
        serve("file", "second\n");
        world.compose("build files").ok();
        assert_eq!(world.compose("run --rm -T files cat /renamed").ok().stdout, "second\n");

        // What is not what was promised, not there or not reached is said where it is asked for.
        serve("kept", "other\n");
        world.compose("build --no-cache files").exits(1).says("Dockerfile:5").says("has the checksum");
        serve("kept", "content\n");
        std::fs::remove_file(served.path().join("file")).unwrap();
        world.compose("build files").exits(1).says("Dockerfile:3").says("404");
        // Of a commit any number of its digits is a promise.
        let git = std::process::Command::new("git")
            .arg("-C")
            .arg(served.path().join("repository.git"))
            .args(["rev-parse", "side"])
            .output()
            .unwrap();
        let side = String::from_utf8(git.stdout).unwrap();
        let promised = format!("--checksum={} --keep-git-dir", &side[..3]);
        world.edit("repository.Dockerfile", "--keep-git-dir", &promised);
        world.compose("build repository").ok();
        let broken = format!("--checksum={} --keep-git-dir", if side.starts_with('0') { '1' } else { '0' });
        world.edit("repository.Dockerfile", &promised, &broken);
        world.compose("build repository").exits(1).says("repository.Dockerfile:5").says("is at commit");
        world.edit("repository.Dockerfile", &broken, "--keep-git-dir");
        // Queries say the same, and cannot say another thing than a fragment.
        world.edit("compose.yaml", "tag=v1", &format!("branch=side&commit={}", &side[..3]));
        world.compose("build queried").ok();
        world.edit("compose.yaml", "branch=side&commit=", "branch=main&commit=");
        world.compose("build queried").exits(1).says("build of `queried`").says("it is at commit");
        world.edit("compose.yaml", "branch=main&commit=", "branch=main&tag=v1&");
        world.compose("build queried").exits(1).says("says twice which commit");
        world.edit("repository.Dockerfile", "#side", "#nothing");
        world.compose("build repository").exits(1).says("repository.Dockerfile:5").says("no branch or tag `nothing`");
        let without = world.program().args(["build", "repository"]).env("PATH", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&without.stderr);
        assert!(!without.status.success() && said.contains("`git` is not installed"), "{said}");
    }
}

scenario! {
    /// A repository that wants to know who asks is told so by the secrets `GIT_AUTH_TOKEN` and `GIT_AUTH_HEADER`,
    /// the one for its host before the one for all, for `ADD` and as a context; neither messages nor the
    /// image's history show them, and another token does nothing again.
    a_guarded_repository_is_told_who_asks, |world| {
        let served = tempfile::tempdir().unwrap();
        let web = Web::serve(served.path());
        make_repository(served.path());
        // base64 of `x-access-token:whispered`.
        web.guard("/repository.git", "basic eC1hY2Nlc3MtdG9rZW46d2hpc3BlcmVk");
        let given = |token: &str| {
            world.write(".env", &format!("WEB=http://127.0.0.1:{}\nTOKEN={token}\n", web.port));
        };
        given("whispered");
        world.compose("build web").ok();
        world.compose("build context").ok();
        assert_eq!(world.compose("run --rm -T web").ok().stdout, "tagged\n");
        let history = world.compose("image history --no-trunc project-web").ok().stdout;
        assert!(history.contains("repository.git") && !history.contains("whispered"), "{history}");
        given("other");
        let refused = world.compose("build web").exits(1).says("compose.yaml:6:13").says("cannot get http://127.0.0.1");
        assert!(!refused.stderr.contains("b3RoZXI"), "{}", refused.stderr);
        // One for the host alone counts more.
        world.edit("compose.yaml", "# HOST", "GIT_AUTH_HEADER.127.0.0.1");
        world.compose("build web").ok().says("CACHED");
        // A password in the address is shown to nobody.
        world.edit("compose.yaml", "ADD $", "ADD http://me:murmured@127.0.0.1:1/a.git /x\n        ADD $");
        let refused = world.compose("build web").exits(1).says("cannot get http://127.0.0.1:1/a.git");
        let told = refused.stderr.lines().filter(|line| !line.contains("ADD "));
        assert!(told.clone().all(|line| !line.contains("murmured")), "{}", refused.stderr);
    }
}

scenario! {
    /// A web server that wants to know who asks is told so by the secrets `HTTP_AUTH_TOKEN_HOST` and
    /// `HTTP_AUTH_HEADER_HOST`, and one that it sends us to is not; neither messages nor the image's history show them.
    a_guarded_file_is_told_who_asks, |world| {
        let (served, moved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (web, other) = (Web::serve(served.path()), Web::serve(moved.path()));
        std::fs::create_dir(served.path().join("guarded")).unwrap();
        std::fs::write(served.path().join("guarded/file"), "guarded\n").unwrap();
        std::fs::write(moved.path().join("open"), "elsewhere\n").unwrap();
        web.redirect("/guarded/moved", &format!("http://127.0.0.1:{}/open", other.port));
        web.guard("/guarded", "Bearer whispered");
        other.guard("/", "");
        let given = |secret: &str| {
            world.write(".env", &format!("WEB=http://127.0.0.1:{}\nSECRET={secret}\n", web.port));
        };
        given("other");
        let refused = world.compose("build").exits(1).says("compose.yaml:6:13").says("401");
        assert!(!refused.stderr.contains("other"), "{}", refused.stderr);
        given("whispered");
        world.compose("build").ok();
        assert_eq!(world.compose("run --rm -T web").ok().stdout, "guarded\nelsewhere\n");
        let history = world.compose("image history --no-trunc project-web").ok().stdout;
        assert!(history.contains("guarded/file") && !history.contains("whispered"), "{history}");
        world.edit("compose.yaml", "HTTP_AUTH_TOKEN_", "HTTP_AUTH_HEADER_");
        world.compose("build --no-cache").exits(1).says("401");
        given("Bearer whispered");
        world.compose("build --no-cache").ok();
    }
}

scenario! {
    /// Arguments that speak to the builder are heeded without an `ARG`: a namespace for cache mounts, `.git` in a
    /// context, the time of all that is made, results of steps in the image; frontends are fetched by none.
    the_builder_heeds_its_own_arguments, |world| {
        let served = tempfile::tempdir().unwrap();
        let web = Web::serve(served.path());
        make_repository(served.path());
        world.write(".env", &format!("WEB=http://127.0.0.1:{}\n", web.port));
        let before = |argument: &str| {
            world.compose(&format!("build --no-cache --build-arg {argument} web")).ok();
            world.compose("run --rm -T web cat /kept.before").ok().stdout
        };
        let namespace = |name: &str| before(&format!("BUILDKIT_CACHE_MOUNT_NS={name}"));
        assert_eq!((namespace("").as_str(), namespace("one").as_str()), ("", ""));
        let own = [namespace(""), namespace("one")];
        assert!(own.iter().all(|drawn| drawn.len() > 1) && own[0] != own[1], "{own:?}");

        let config = |key: &str| {
            let shown = world.compose("image inspect project-web").ok().stdout;
            serde_json::from_str::<serde_json::Value>(&shown).unwrap()[0][key].clone()
        };
        before("SOURCE_DATE_EPOCH=1700000000");
        assert_eq!(config("Created"), "2023-11-14T22:13:20Z");
        let first = config("Id");
        before("SOURCE_DATE_EPOCH=1600000000");
        assert_ne!(config("Id"), first);
        world.compose("build --build-arg SOURCE_DATE_EPOCH=noon web").exits(1).says("SOURCE_DATE_EPOCH is `noon`");

        world.compose("build repository").ok();
        let files = || world.compose("run --rm -T repository ls -A /from-main").ok().stdout;
        assert_eq!(files(), "app\noutside\n");
        world.compose("build --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 repository").ok();
        assert_eq!(files(), ".git\napp\noutside\n");

        // An engine that has only the image has the steps' results, too.
        world.compose("build --build-arg BUILDKIT_INLINE_CACHE=true web").ok();
        world.compose("image save -o image.tar project-web").ok();
        let config = Command::new("tar").args(["-xOf", "image.tar"]).current_dir(world.project()).output().unwrap();
        assert!(String::from_utf8_lossy(&config.stdout).contains("compose.build-cache"));
    }
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}

/// A repository that a web server may serve as files: a tag, and a branch beside the main one.
fn make_repository(served: &Path) {
    let source = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &str| std::fs::write(source.path().join(path), content).unwrap();
    let run = |arguments: &[&str]| git(source.path(), arguments);
    run(&["init", "--quiet", "--initial-branch=main"]);
    std::fs::create_dir(source.path().join("app")).unwrap();
    write("outside", "outside\n");
    write("app/file", "tagged\n");
    write(
        "app/Dockerfile",
        "FROM busybox\nCOPY file /from-git\nCOPY --from=archive inside/file /from-archive\n\
         COPY --from=main outside /from-main\n",
    );
    run(&["add", "."]);
    run(&["commit", "--quiet", "--message=one"]);
    run(&["tag", "--annotate", "--message=one", "v1"]);
    write("app/file", "later\n");
    run(&["commit", "--quiet", "--all", "--message=two"]);
    run(&["checkout", "--quiet", "-b", "side"]);
    write("outside", "at the side\n");
    run(&["commit", "--quiet", "--all", "--message=three"]);
    run(&["checkout", "--quiet", "main"]);
    let bare = served.join("repository.git");
    run(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    git(&bare, &["update-server-info"]);
}

fn git(folder: &Path, arguments: &[&str]) {
    let names = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"];
    let mut command = Command::new("git");
    command.args(names).args(arguments).current_dir(folder);
    let status = command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").status();
    assert!(status.expect("the package git is installed").success(), "git {arguments:?}");
}
