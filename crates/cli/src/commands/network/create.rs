//! `compose network create`: makes a network that belongs to no project. What its flags say is read as a file's
//! network is, by the same checks.

use crate::arguments::boolean;
use crate::exit::{Exit, Failure};
use crate::given::Given;
use crate::output;
use crate::session::Session;
use compose_spec::model::{AddressPool, Network};
use engine::EngineError;
use resource::document::Fault;
use resource::{NetworkName, NetworkSpec, Subnet};
use std::net::IpAddr;

/// Names that mean something else wherever a network is named.
const TAKEN: [&str; 4] = ["bridge", "default", "host", "none"];

/// Flags of `network create`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Any container may join: as it is without the flag
    #[arg(long)]
    attachable: bool,
    /// An address of a subnet that is kept for something else
    #[arg(long, value_name = "NAME=IP")]
    aux_address: Vec<String>,
    /// bridge, macvlan or ipvlan
    #[arg(short, long, default_value = "bridge", hide_default_value = true)]
    driver: String,
    /// The gateway of a subnet
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    gateway: Vec<String>,
    /// Print the id of the network that is there already, instead of failing
    #[arg(long)]
    ignore: bool,
    /// No way out
    #[arg(long)]
    internal: bool,
    /// Addresses of a subnet are given out of this part of it
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    ip_range: Vec<String>,
    /// Has no effect: addresses come from the engine
    #[arg(long, value_name = "DRIVER")]
    ipam_driver: Option<String>,
    /// Has no effect
    #[arg(long, value_name = "KEY=VALUE")]
    ipam_opt: Vec<String>,
    /// IPv4 addresses
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = boolean)]
    ipv4: Option<bool>,
    /// IPv6 addresses
    #[arg(long)]
    ipv6: bool,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// An option of the driver, as under `driver_opts`
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Only `local`: networks are this machine's
    #[arg(long)]
    scope: Option<String>,
    /// An address block, from the pools without it
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    subnet: Vec<String>,
    /// Its name
    name: String,
}

/// Makes the network and prints its id.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let mut given = Given::default();
    let spec = read(args, &mut given);
    given.finish(session)?;
    let name = &spec.name;
    match session.viewer()?.network(name) {
        Some(there) if args.ignore => {
            output::line(&there.id)?;
            return Ok(Exit::Success);
        }
        Some(_) => return Err(failure(name, EngineError::NetworkExists(name.clone()))),
        None => {}
    }
    if session.globals.dry_run {
        output::planned(&format!("make network {name}"));
        return Ok(Exit::Success);
    }
    match session.engine()?.add_network(&spec) {
        Ok(made) => output::line(&made.id)?,
        // Somebody else made it meanwhile.
        Err(EngineError::NetworkExists(_)) if args.ignore => return run(args, session),
        Err(error) => return Err(failure(name, error)),
    }
    Ok(Exit::Success)
}

fn failure(name: &NetworkName, error: EngineError) -> Failure {
    match error {
        EngineError::NetworkExists(_) => Failure::new(format!("network `{name}` already exists"))
            .hint("choose another name, or say --ignore to take the one that is there"),
        EngineError::SubnetTaken { .. } => Failure::because(format!("cannot make network `{name}`"), error)
            .hint("choose another --subnet, or remove the other network"),
        EngineError::DamagedNetwork { fault: Fault::Damaged, .. } => {
            Failure::because(format!("cannot make network `{name}`"), error)
                .hint(format!("clear away what is left of it: `compose network rm {name}`"))
        }
        error => Failure::because(format!("cannot make network `{name}`"), error),
    }
}

/// The network that the flags describe, and what is wrong with it.
fn read(args: &Args, given: &mut Given) -> NetworkSpec {
    let name = given.word("NAME", "name", &args.name);
    if let Err(error) = engine::check_name(&args.name) {
        given.wrong(name, error.to_string());
    } else if TAKEN.contains(&args.name.as_str()) {
        given.wrong(name, format!("`{}` cannot be the name of a network: it means another thing", args.name));
    }
    if let Some(scope) = args.scope.as_deref().filter(|scope| *scope != "local") {
        let span = given.word("--scope", "scope", scope);
        given.wrong(span, format!("there is no scope `{scope}`: networks are this machine's, `local`"));
    }
    given.word("--driver", "driver", &args.driver);
    if let Some(driver) = &args.ipam_driver {
        given.word("--ipam-driver", "ipam.driver", driver);
    }
    if let Some(option) = args.ipam_opt.first() {
        given.word("--ipam-opt", "ipam.options", option);
    }
    if let Some(on) = args.ipv4 {
        given.word("--ipv4", "enable_ipv4", &on.to_string());
    }
    let network = Network {
        name: args.name.clone(),
        driver: Some(args.driver.clone()),
        driver_opts: given.pairs("--opt", "driver_opts", &args.opt),
        attachable: args.attachable,
        internal: args.internal,
        enable_ipv4: args.ipv4,
        enable_ipv6: args.ipv6,
        external: false,
        ipam_driver: args.ipam_driver.clone(),
        ipam_options: given.pairs("--ipam-opt", "ipam_opt", &args.ipam_opt),
        ipam: pools(args, given),
        labels: given.labels(&args.label),
        span: None,
    };
    let (spec, found) = lower::network_alone(&args.name, &network, &|path| given.place(path));
    given.tell(found);
    spec
}

/// Address blocks with what lies in each of them. What cannot be read goes to the first one, where it is told.
fn pools(args: &Args, given: &mut Given) -> Vec<AddressPool> {
    let blocks: Vec<Option<Subnet>> = args.subnet.iter().map(|text| Subnet::parse(text)).collect();
    let mut pools: Vec<AddressPool> = vec![];
    for (at, text) in args.subnet.iter().enumerate() {
        given.word("--subnet", format!("ipam.config.{at}.subnet"), text);
        pools.push(AddressPool { subnet: Some(text.clone()), ..AddressPool::default() });
    }
    let block_of = |flag: &str, attribute: &str, text: &str, address: Option<IpAddr>, given: &mut Given| {
        let holds = |block: &Option<Subnet>| block.zip(address).is_some_and(|(block, it)| block.contains(it));
        let path = |at: usize| format!("ipam.config.{at}.{attribute}");
        let found = blocks.iter().position(holds);
        let at = found.or_else(|| (blocks.len() == 1 || address.is_none()).then_some(0));
        let span = given.word(flag, path(at.unwrap_or(0)), text);
        if blocks.is_empty() {
            given.wrong(span, format!("{flag} needs the --subnet that it is of"));
            return None;
        }
        if at.is_none() {
            given.wrong(span, format!("`{text}` lies in no --subnet"));
        }
        at.map(|at| (at, span))
    };
    for text in &args.gateway {
        let place = block_of("--gateway", "gateway", text, text.parse().ok(), given);
        if let Some((at, span)) = place
            && let Some(other) = pools[at].gateway.replace(text.clone())
        {
            given.wrong(span, format!("{} has the gateway {other} already", args.subnet[at]));
        }
    }
    for text in &args.ip_range {
        let address = Subnet::parse(text).map(|range| range.address);
        let place = block_of("--ip-range", "ip_range", text, address, given);
        if let Some((at, span)) = place
            && let Some(other) = pools[at].ip_range.replace(text.clone())
        {
            given.wrong(span, format!("{} has the range {other} already", args.subnet[at]));
        }
    }
    for text in &args.aux_address {
        let Some((name, address)) = text.split_once('=') else {
            let span = given.word("--aux-address", "aux_address", text);
            given.wrong(span, format!("`{text}` names no address: write NAME=IP"));
            continue;
        };
        let attribute = format!("aux_addresses.{name}");
        let place = block_of("--aux-address", &attribute, text, address.parse().ok(), given);
        if let Some((at, _)) = place {
            pools[at].aux_addresses.insert(name.to_owned(), address.to_owned());
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn spec(line: &str) -> (NetworkSpec, String) {
        let mut given = Given::default();
        let args = Line::parse_from(std::iter::once("create").chain(line.split(' '))).args;
        let spec = read(&args, &mut given);
        (spec, given.text())
    }

    #[test]
    fn addresses_go_to_the_subnet_they_lie_in() {
        let (spec, told) = spec(
            "--subnet 10.1.0.0/16 --subnet fd00::/64 --gateway fd00::9 --gateway 10.1.0.9 --ip-range 10.1.2.0/24 \
             --aux-address printer=10.1.2.3 proxy",
        );
        assert_eq!(told, "");
        let gateways: Vec<_> =
            spec.subnets.iter().map(|(subnet, gateway)| format!("{subnet} {}", gateway.unwrap())).collect();
        assert_eq!(gateways, ["10.1.0.0/16 10.1.0.9", "fd00::/64 fd00::9"]);
        assert_eq!(spec.ip_ranges, [Subnet::parse("10.1.2.0/24").unwrap()]);
        assert_eq!(spec.reserved, ["10.1.2.3".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_flag() {
        for (line, place, told) in [
            ("-d overlay x", "--driver:1:1", "driver `overlay` is not supported"),
            ("-o com.docker.network.driver.mtu=big x", "--opt:1:1", "should be a number of bytes"),
            ("-o colour=blue x", "--opt:1:1", "has no effect"),
            ("--subnet 10.1.0.0 x", "--subnet:1:1", "`10.1.0.0` is not a valid address or block"),
            ("--subnet 10.1.0.0/24 --gateway 10.2.0.1 x", "--gateway:1:1", "outside of its subnet"),
            ("--subnet 10.1.0.0/24 --ip-range 10.2.0.0/28 x", "--ip-range:1:1", "outside of its subnet"),
            ("--subnet 10.1.0.0/24 --aux-address a=10.2.0.1 x", "--aux-address:1:1", "outside of its subnet"),
            ("--subnet 10.1.0.0/24 --aux-address a=b x", "--aux-address:1:1", "`b` is not a valid"),
            ("--subnet 10.1.0.0/24,10.2.0.0/24 --gateway 10.3.0.1 x", "--gateway:1:1", "lies in no --subnet"),
            ("--subnet 10.1.0.0/24 --gateway 10.1.0.1,10.1.0.2 x", "--gateway:1:1", "already"),
            ("--gateway 10.1.0.1 x", "--gateway:1:1", "needs the --subnet"),
            ("--aux-address 10.1.0.1 x", "--aux-address:1:1", "NAME=IP"),
            ("--ipv4=false x", "--ipv4:1:1", "without IPv4 it needs IPv6"),
            ("--ipam-driver dhcp x", "--ipam-driver:1:1", "has no effect"),
            ("--ipam-opt a=b x", "--ipam-opt:1:1", "no effect"),
            ("--scope swarm x", "--scope:1:1", "no scope `swarm`"),
            ("--label com.docker.compose.project=shop x", "--label:1:1", "only projects give it"),
            ("a/b", "NAME:1:1", "`a/b` cannot be a name"),
            ("host", "NAME:1:1", "`host` cannot be the name of a network"),
        ] {
            let text = spec(line).1;
            assert!(text.contains(place) && text.contains(told), "{line}:\n{text}");
            assert_eq!(text.matches("[").count(), 1, "{line}:\n{text}");
        }
        let fine = "--ipv4=false --ipv6 --scope local --ipam-driver default --attachable --label a=b -o parent=x -d macvlan x";
        assert_eq!(spec(fine).1, "");
    }
}
