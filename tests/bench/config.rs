//! `config` beside a floor that reads the same bytes and takes them apart with the same YAML crate, both
//! whole processes in turns: three services, five hundred (about 10 000 lines), and up to 5 000 to see
//! whether the time grows with the length.

use crate::{Times, time};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Services, and the milliseconds that `config` of them may take.
const SIZES: [(usize, Option<u32>); 5] =
    [(3, Some(3)), (500, Some(25)), (1000, None), (2000, None), (5000, None)];

/// Measures and prints a table and a plot.
pub(crate) fn run(program: &str, runs: usize) {
    let folder = tempfile::tempdir().unwrap();
    println!("| services | lines | floor | config | ratio | target |\n|---:|---:|---:|---:|---:|---:|");
    let mut points = vec![];
    for (services, target) in SIZES {
        let file = folder.path().join(format!("{services}.yaml"));
        let text = project(services);
        std::fs::write(&file, &text).unwrap();
        let mut times: [Times; 2] = [const { Times(vec![]) }; 2];
        for _ in 0..runs {
            times[0].0.push(time(quiet(Command::new(env!("CARGO_BIN_EXE_yaml-floor")).arg(&file))));
            times[1].0.push(time(&mut config(program, &file, folder.path())));
        }
        let [floor, config] = &times;
        println!(
            "| {services} | {} | {} | {} | {:.1} | {} |",
            text.lines().count(),
            floor.shown(),
            config.shown(),
            config.median() / floor.median(),
            target.map(|limit| format!("< {limit}")).unwrap_or_default(),
        );
        points.push((services, config.median()));
    }
    println!("\n{}", plot(&points));
}

fn config(program: &str, file: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("-f")
        .arg(file)
        .args(["-p", "bench", "config"])
        .env("COMPOSE_ENGINE_ROOT", folder.join("engine"));
    quiet(&mut command);
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null())
}

/// Twenty lines a service, of what services have.
fn project(services: usize) -> String {
    let mut text = "services:\n".to_owned();
    for number in 1..=services {
        let earlier = number.saturating_sub(1).max(1);
        write!(
            text,
            "  s{number}:\n    image: registry.example.com/team/s{number}:1.{number}\n    restart: unless-stopped\n    \
             environment:\n      NAME: s{number}\n      LEVEL: ${{LEVEL:-info}}\n      URL: http://s{earlier}:8080/\n    \
             ports:\n      - \"127.0.0.1::{port}\"\n    volumes:\n      - data:/var/lib/s{number}\n      - ./s{number}:/etc/s{number}:ro\n    \
             healthcheck:\n      test: curl -f http://localhost:8080/\n      interval: 30s\n    networks:\n      - back\n    \
             labels:\n      com.example.team: t{team}\n    mem_limit: 512m\n",
            port = 1 + number % 65_535,
            team = number % 7,
        )
        .unwrap();
    }
    text + "networks:\n  back:\nvolumes:\n  data:\n"
}

/// Time over services; on a straight line every bar is as long as its number of services.
fn plot(points: &[(usize, f64)]) -> String {
    const WIDTH: usize = 60;
    let most = points.iter().map(|(_, time)| *time).fold(0.0, f64::max);
    let last = points.last().map_or(1, |(services, _)| *services);
    let mut text =
        "milliseconds over services; `|` is where a straight line through the last would be\n".to_owned();
    for (services, time) in points {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the width")]
        let length = (time / most * WIDTH as f64).round() as usize;
        let straight = services * WIDTH / last;
        let row: String = (0..=WIDTH)
            .map(|column| {
                if column == straight {
                    '|'
                } else if column < length {
                    '#'
                } else {
                    ' '
                }
            })
            .collect();
        writeln!(text, "{services:>5} {} {time:.1}", row.trim_end()).unwrap();
    }
    text
}
