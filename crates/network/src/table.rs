//! Transactions on nf_tables: everything of ours is in one table, every object has chains of its own,
//! each hooked into the kernel for itself. So an object is rebuilt or removed by the names of its
//! chains alone, and nothing has to be remembered.

use crate::channel::Channel;
use crate::rule::Rule;
use crate::wire::{self, Attributes, CREATE, DUMP, Messages};
use crate::{NetworkError, namespace};
use rustix::io::Errno;
use std::sync::{Arc, Mutex, PoisonError};

const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const DELETE_TABLE: u16 = NEW_TABLE | 2;
const NEW_CHAIN: u16 = NEW_TABLE | 3;
const GET_CHAIN: u16 = NEW_TABLE | 4;
const DELETE_CHAIN: u16 = NEW_TABLE | 5;
const NEW_RULE: u16 = NEW_TABLE | 6;
const GET_RULE: u16 = NEW_TABLE | 7;
const DELETE_RULE: u16 = NEW_TABLE | 8;
const GET_GENERATION: u16 = NEW_TABLE | 16;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const APPEND: u16 = 0x800;
const BATCH_GENERATION: u16 = 1;
const GENERATION: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_USER_DATA: u16 = 12;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_USER_DATA: u16 = 7;
const ACCEPT: u32 = 1;
/// Tries before a ruleset that others keep changing is given up on.
const PATIENCE: usize = 100;

/// The name of our table.
const TABLE: &str = "compose";

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 and IPv6: the router's table.
    Inet = 1,
    /// IPv4: the table inside a container.
    Ipv4 = 2,
}

/// Where and when a chain runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    kind: &'static str,
    place: u32,
    priority: i32,
    needs: &'static str,
}

const NAT: &str = "NAT in nf_tables (CONFIG_NFT_NAT, CONFIG_NF_TABLES_INET; Linux 5.2)";
const FILTER: &str = "nf_tables (CONFIG_NF_TABLES_INET)";

impl Hook {
    /// Where the destination of what arrives is changed.
    pub(crate) const ARRIVING: Self = Self { kind: "nat", place: 0, priority: -100, needs: NAT };
    /// Where the destination of what this host sends is changed.
    pub(crate) const SENT: Self = Self { kind: "nat", place: 3, priority: -100, needs: NAT };
    /// Where the source of what leaves is changed.
    pub(crate) const LEAVING: Self = Self { kind: "nat", place: 4, priority: 100, needs: NAT };
    /// Where it is decided what is passed on.
    pub(crate) const PASSING: Self = Self { kind: "filter", place: 2, priority: 0, needs: FILTER };
    /// Where what arrives is seen first.
    pub(crate) const FIRST: Self = Self { kind: "filter", place: 0, priority: -300, needs: FILTER };
    /// What arrives, before it is decided where it goes.
    pub(crate) const BEFORE_ROUTING: Self = Self { kind: "filter", place: 0, priority: -150, needs: FILTER };
    /// What this host sends, before connections are tracked.
    pub(crate) const SENT_BEFORE_TRACKING: Self =
        Self { kind: "filter", place: 3, priority: -300, needs: FILTER };
    /// What this host sends, after connections are tracked and everybody's filters have run.
    pub(crate) const SENT_LAST: Self = Self { kind: "filter", place: 3, priority: 300, needs: FILTER };
}

/// A chain as it is to be.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) hook: Hook,
    /// What it belongs to; shown by `nft list ruleset`, and what [`crate::sweep`] goes by.
    pub(crate) comment: String,
    pub(crate) rules: Vec<Rule>,
}

/// A chain that is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) comment: String,
}

/// The conversation about the packet filter of the calling thread's namespace, kept open for the life of
/// the process: closing it after something was removed waits for the kernel to have forgotten that, 5 to
/// 20 ms each time.
pub(crate) fn router() -> Result<Arc<Channel>, NetworkError> {
    /// By the namespace's device and inode.
    type ByNamespace = Vec<((u64, u64), Arc<Channel>)>;
    static OPEN: Mutex<ByNamespace> = Mutex::new(Vec::new());
    let namespace = namespace::identity()?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, channel)) = open.iter().find(|(of, _)| *of == namespace) {
        return Ok(Arc::clone(channel));
    }
    let channel = Arc::new(Channel::netfilter()?);
    // The open socket keeps the namespace, so its identity cannot pass to another.
    open.push((namespace, Arc::clone(&channel)));
    Ok(channel)
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// A comment the way `nft` keeps it: kind, length, text with its NUL.
fn comment(attributes: &mut Attributes, kind: u16, text: &str) {
    let text = &text.as_bytes()[..text.len().min(250)];
    let length = u8::try_from(text.len() + 1).expect("cut to 250 bytes");
    let mut bytes = vec![0, length];
    bytes.extend_from_slice(text);
    bytes.push(0);
    attributes.bytes(kind, &bytes);
}

/// Makes the chains, or empties those that exist, and fills them: all in one step or not at all.
/// A chain that exists keeps the comment it was made with.
pub(crate) fn replace(channel: &Channel, family: Family, chains: &[Chain]) -> Result<(), NetworkError> {
    let mut batch = begin(None);
    make_table(&mut batch, family);
    fill(channel, batch, family, chains)
}

/// Makes the table anew with these chains and no others, comments and all: in one step or not at all.
pub(crate) fn renew(channel: &Channel, family: Family, chains: &[Chain]) -> Result<(), NetworkError> {
    let mut batch = begin(None);
    // What is not there could not be removed.
    make_table(&mut batch, family);
    remove_table(&mut batch, family);
    make_table(&mut batch, family);
    fill(channel, batch, family, chains)
}

fn make_table(batch: &mut Messages, family: Family) {
    let what = format!("make the table {TABLE}");
    batch.add((NEW_TABLE, CREATE), what, &header(family as u8, 0), |attributes| {
        attributes.text(1, TABLE);
    });
    batch.needs(FILTER);
}

fn remove_table(batch: &mut Messages, family: Family) {
    let what = format!("remove the table {TABLE}");
    batch.add((DELETE_TABLE, 0), what, &header(family as u8, 0), |attributes| {
        attributes.text(1, TABLE);
    });
}

fn fill(
    channel: &Channel,
    mut batch: Messages,
    family: Family,
    chains: &[Chain],
) -> Result<(), NetworkError> {
    let here = header(family as u8, 0);
    for chain in chains {
        add_chain(&mut batch, &here, chain);
    }
    batch.acknowledged();
    end(&mut batch);
    channel.tell(&mut batch)
}

fn add_chain(batch: &mut Messages, here: &[u8; 4], chain: &Chain) {
    let name = &chain.name;
    batch.add((NEW_CHAIN, CREATE), format!("make the chain {name}"), here, |attributes| {
        attributes.text(CHAIN_TABLE, TABLE).text(CHAIN_NAME, name).text(7, chain.hook.kind);
        attributes.network_number(5, ACCEPT).nest(4, |hook| {
            hook.network_number(1, chain.hook.place).network_number(2, chain.hook.priority.cast_unsigned());
        });
        comment(attributes, CHAIN_USER_DATA, &chain.comment);
    });
    batch.needs(chain.hook.needs);
    batch.add((DELETE_RULE, 0), format!("empty the chain {name}"), here, |attributes| {
        attributes.text(RULE_TABLE, TABLE).text(RULE_CHAIN, name);
    });
    for rule in &chain.rules {
        let what = format!("add a rule to the chain {name}");
        batch.add((NEW_RULE, CREATE | APPEND), what, here, |attributes| {
            attributes.text(RULE_TABLE, TABLE).text(RULE_CHAIN, name).nest(4, |list| {
                list.append(rule.expressions());
            });
            if let Some(text) = &rule.comment {
                comment(attributes, RULE_USER_DATA, text);
            }
        });
        batch
            .needs("an expression of nf_tables (CONFIG_NFT_NAT, NFT_MASQ, NFT_CT, NFT_FIB_INET, NFT_SOCKET)");
    }
}

fn begin(generation: Option<u32>) -> Messages {
    let mut batch = Messages::default();
    batch.add((BATCH_BEGIN, 0), "change the packet filter", &header(0, NFTABLES), |attributes| {
        if let Some(generation) = generation {
            attributes.network_number(BATCH_GENERATION, generation);
        }
    });
    batch
}

fn end(batch: &mut Messages) {
    batch.add((BATCH_END, 0), "change the packet filter", &header(0, NFTABLES), |_| {});
}

/// Removes the chains that `wanted` says, and the table with its last chain. Returns the chains' names.
///
/// The kernel refuses the change when anybody changed anything since the list was read (its generation
/// number), so no lock is needed to know that the table is empty.
pub(crate) fn remove(
    channel: &Channel,
    mut wanted: impl FnMut(&Found) -> bool,
) -> Result<Vec<String>, NetworkError> {
    let here = header(Family::Inet as u8, 0);
    for _ in 0..PATIENCE {
        let generation = generation(channel)?;
        let Some(chains) = list(channel, Family::Inet)? else { continue };
        let (gone, kept): (Vec<_>, Vec<_>) = chains.into_iter().partition(&mut wanted);
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = begin(Some(generation));
        for chain in &gone {
            batch.add((DELETE_CHAIN, 0), format!("remove the chain {}", chain.name), &here, |attributes| {
                attributes.text(CHAIN_TABLE, TABLE).text(CHAIN_NAME, &chain.name);
            });
        }
        if kept.is_empty() {
            remove_table(&mut batch, Family::Inet);
        }
        batch.acknowledged();
        end(&mut batch);
        match channel.attempt(&mut batch)? {
            Ok(()) => return Ok(gone.into_iter().map(|chain| chain.name).collect()),
            Err(refusal) if is_stale(refusal.errno) => {}
            Err(refusal) => return Err(refusal.explain(&batch)),
        }
    }
    Err(NetworkError::kernel("remove chains while others keep changing the packet filter", Errno::AGAIN))
}

/// Somebody was quicker: ERESTART, which has no name outside the kernel, or what the list promised is gone.
fn is_stale(errno: i32) -> bool {
    errno == 85 || [Errno::AGAIN, Errno::INTR, Errno::NOENT].iter().any(|stale| stale.raw_os_error() == errno)
}

fn generation(channel: &Channel) -> Result<u32, NetworkError> {
    let mut batch = Messages::default();
    batch.add((GET_GENERATION, 0), "read the packet filter's generation", &header(0, 0), |_| {});
    batch.needs("nf_tables (CONFIG_NF_TABLES)");
    let mut number = None;
    channel.ask(&mut batch, |message| {
        let value = message.payload.get(4..).and_then(|run| wire::attribute(run, GENERATION));
        number = value.and_then(|value| wire::u32_at(value, 0)).map(u32::from_be);
    })?;
    number.ok_or_else(|| NetworkError::Answer { attempt: batch.attempt(0).what })
}

/// Every chain of our table; `None` when the list changed while it was read.
pub(crate) fn list(channel: &Channel, family: Family) -> Result<Option<Vec<Found>>, NetworkError> {
    const INTERRUPTED: u16 = 0x10;
    let mut batch = Messages::default();
    batch.add((GET_CHAIN, DUMP), "list the chains", &header(family as u8, 0), |_| {});
    let (mut chains, mut whole) = (Vec::new(), true);
    channel.ask(&mut batch, |message| {
        whole &= message.flags & INTERRUPTED == 0;
        let run = message.payload.get(4..).unwrap_or(&[]);
        let text = |kind| wire::attribute(run, kind).map(wire::text);
        if let (Some(TABLE), Some(name)) = (text(CHAIN_TABLE).as_deref(), text(CHAIN_NAME)) {
            let user = wire::attribute(run, CHAIN_USER_DATA).and_then(|data| data.get(2..));
            chains.push(Found { name, comment: user.map(wire::text).unwrap_or_default() });
        }
    })?;
    Ok(whole.then_some(chains))
}

/// Removes the rules whose comments `wanted` says, from the chains whose names `among` says.
pub(crate) fn remove_rules(
    channel: &Channel,
    among: impl Fn(&String) -> bool,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), NetworkError> {
    for _ in 0..PATIENCE {
        let Some(chains) = list(channel, Family::Inet)? else { continue };
        let mut batch = begin(None);
        let none = batch.len();
        for chain in chains.iter().map(|chain| &chain.name).filter(|name| among(name)) {
            for handle in handles(channel, chain, &wanted)? {
                let what = format!("remove an abandoned rule of the chain {chain}");
                batch.add((DELETE_RULE, 0), what, &header(Family::Inet as u8, 0), |attributes| {
                    attributes.text(RULE_TABLE, TABLE).text(RULE_CHAIN, chain).bytes(RULE_HANDLE, &handle);
                });
            }
        }
        if batch.len() == none {
            return Ok(());
        }
        batch.acknowledged();
        end(&mut batch);
        match channel.attempt(&mut batch)? {
            Ok(()) => return Ok(()),
            Err(refusal) if is_stale(refusal.errno) => {}
            Err(refusal) => return Err(refusal.explain(&batch)),
        }
    }
    Err(NetworkError::kernel("remove rules while others keep changing the packet filter", Errno::AGAIN))
}

/// The kernel's handles of the rules of a chain whose comments are wanted. A handle is never given to
/// another rule.
fn handles(
    channel: &Channel,
    chain: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Vec<u8>>, NetworkError> {
    let mut batch = Messages::default();
    let what = format!("list the rules of the chain {chain}");
    batch.add((GET_RULE, DUMP), what, &header(Family::Inet as u8, 0), |attributes| {
        attributes.text(RULE_TABLE, TABLE).text(RULE_CHAIN, chain);
    });
    let mut handles = Vec::new();
    let listed = channel.ask(&mut batch, |message| {
        let run = message.payload.get(4..).unwrap_or(&[]);
        // Kernels that do not know the restriction tell every rule.
        let ours = wire::attribute(run, RULE_CHAIN).is_some_and(|name| wire::text(name) == chain);
        let comment = wire::attribute(run, RULE_USER_DATA).and_then(|data| data.get(2..)).map(wire::text);
        if let Some(handle) = wire::attribute(run, RULE_HANDLE)
            && ours
            && comment.is_some_and(|comment| wanted(&comment))
        {
            handles.push(handle.to_vec());
        }
    });
    match listed {
        // Gone meanwhile, and its rules with it.
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(Vec::new()),
        listed => listed.map(|()| handles),
    }
}
