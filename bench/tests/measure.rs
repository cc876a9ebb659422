//! The measurements run, say what they compared, and hand out everything they measured. How long things take is not
//! tested: that is for people to look at.

mod common;

use common::{bench, json, run, text};
use serde_json::Value;

const SHORT: [&str; 5] = ["--rounds", "2", "--time", "4", "--json"];

/// Runs a measurement; its figures by id.
fn figures(args: &[&str]) -> Vec<(String, Value)> {
    let args: Vec<&str> = args.iter().chain(&SHORT).copied().collect();
    let (output, left) = run(&args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(text(&output.stderr), "", "no progress bar where nobody sits");
    let json = json(&output);
    assert_eq!(json["arguments"].as_array().map(Vec::len), Some(args.len()));
    assert!(json["machine"]["cpus"].as_array().is_some_and(|cpus| !cpus.is_empty()));
    assert!(json["about"][0].as_str().is_some_and(|about| !about.is_empty()));
    let figures = json["figures"].as_array().unwrap().clone();
    for figure in &figures {
        let rounds = figure["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 2, "{}", figure["id"]);
        let is_latency = !figure["histogram"].is_null();
        if is_latency {
            assert!(rounds.iter().all(|round| round["count"].as_u64() > Some(0)), "{}", figure["id"]);
            assert!(figure["histogram"].as_str().is_some_and(|text| !text.is_empty()), "{}", figure["id"]);
            assert_eq!(figure["value"], figure["percentiles"]["p50"]);
        } else {
            assert!(rounds.iter().all(|round| round["value"].as_f64() >= Some(0.0)), "{}", figure["id"]);
        }
        let value = &figure["value"];
        assert!(
            value["min"].as_f64() <= value["median"].as_f64()
                && value["median"].as_f64() <= value["max"].as_f64()
        );
    }
    figures.into_iter().map(|figure| (figure["id"].as_str().unwrap().to_owned(), figure)).collect()
}

fn ids(figures: &[(String, Value)]) -> Vec<&str> {
    figures.iter().map(|(id, _)| id.as_str()).collect()
}

/// Held by what spins on all processors for long, and by what must get its share of them within milliseconds.
static PROCESSORS: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn two_processors() -> bool {
    std::thread::available_parallelism().is_ok_and(|count| count.get() >= 2)
}

#[test]
fn the_floor_is_lines_semaphores_and_relays() {
    let figures = figures(&["floor"]);
    let ids = ids(&figures);
    for relay in [3, 4] {
        for waiting in ["spin", "yield", "block", "adaptive"] {
            assert!(ids.contains(&format!("relay.{relay}.{waiting}").as_str()), "{ids:?}");
        }
    }
    assert!(ids.contains(&"semaphore.same-core"));
    if two_processors() {
        assert_eq!(ids[..3], ["line.threads", "line.processes", "semaphore.other-core"]);
        assert!(figures[1].1["ratio"]["median"].as_f64() > Some(0.0));
    }
}

#[test]
fn a_hop_stands_beside_the_cache_line_of_the_same_run() {
    if !two_processors() {
        assert_eq!(run(&["hop"]).0.status.code(), Some(2));
        return;
    }
    let figures = figures(&["hop", "--record", "56,1016", "--wait", "yield,block,adaptive"]);
    let expected = ["yield", "block", "adaptive"];
    let hops = [56, 1016].iter().flat_map(|bytes| expected.map(|waiting| format!("hop.{bytes}.{waiting}")));
    assert_eq!(ids(&figures)[0], "line.processes");
    assert_eq!(ids(&figures)[1..], hops.collect::<Vec<_>>());
    assert!(figures[1..].iter().all(|(_, hop)| hop["floor"] == "line.processes"));
    assert!(figures[1..].iter().all(|(_, hop)| hop["ratio"]["median"].as_f64() > Some(0.0)));
}

#[test]
fn throughput_stands_beside_the_bare_loop_of_the_same_run() {
    let args = ["throughput", "--producers", "spsc,2", "--slot", "64,1024", "--batch", "1,64"];
    let figures = figures(&[&args[..], &["--wait", "yield", "--mode", "doorbell,counting"]].concat());
    let ids = ids(&figures);
    for kind in ["spsc", "mpsc2"] {
        for (slot, batch, floor) in [(64, "single", "raw.slot.64"), (1024, "batch64", "raw.cursor.1024")] {
            for id in ["", ".counting"].map(|mode| format!("throughput.{kind}.{slot}.{batch}.yield{mode}")) {
                let at = ids.iter().position(|other| *other == id);
                let figure = &figures[at.unwrap_or_else(|| panic!("{id} in {ids:?}"))].1;
                assert_eq!((&figure["floor"], &figure["unit"]), (&floor.into(), &"/s".into()), "{id}");
                assert!(figure["ratio"]["median"].as_f64() > Some(0.0), "{id}");
            }
        }
    }
    assert_eq!(ids.len(), 16 + 4, "{ids:?}");
}

#[test]
fn peers_stand_beside_the_ring_and_the_cache_line_of_the_same_run() {
    if !two_processors() {
        assert_eq!(run(&["peers"]).0.status.code(), Some(2));
        return;
    }
    let _alone = PROCESSORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Everything but the message queues, which a kernel may be without.
    let streams = ["pipe", "unix", "seqpacket", "tcp"];
    let peers = [&streams[..], &["eventfd", "raw-sync"]].concat();
    let only = [&peers[..], &["in-process"]].concat().join(",");
    let figures = figures(&["peers", "--wait", "yield,block", "--only", &only]);
    let ids_of = |of: &str, which: &[&str]| {
        let all = ["ring.yield", "ring.block"].into_iter().chain(which.iter().copied());
        all.map(|peer| format!("peers.{of}{peer}")).collect::<Vec<_>>()
    };
    let flows = [
        ("spsc.single", &["bare", "ring", "rtrb", "arrayqueue"][..]),
        ("spsc.batch64", &["bare", "ring", "rtrb"]),
        ("mpsc2.single", &["arrayqueue", "ring"]),
        ("mpsc4.single", &["arrayqueue", "ring"]),
    ];
    let flows = flows
        .iter()
        .flat_map(|(kind, carriers)| carriers.iter().map(move |carrier| format!("peers.{kind}.{carrier}")));
    let floor = |id: &str| std::iter::once(id.to_owned());
    let expected = floor("line.threads").chain(ids_of("", &peers));
    let expected =
        expected.chain(floor("peers.one-way.bare")).chain(ids_of("one-way.", &streams)).chain(flows);
    assert_eq!(ids(&figures), expected.collect::<Vec<_>>());
    // What is counted came back, or came, as it was sent: anything else ends the run.
    for (id, figure) in &figures {
        let rounds = figure["rounds"].as_array().unwrap();
        let counts = |round: &Value| round["count"].as_f64().or(round["value"].as_f64());
        assert!(rounds.iter().all(|round| counts(round) > Some(0.0)), "{figure}");
        let is_floor = id == "line.threads" || id.ends_with(".bare");
        assert_eq!(figure["ratio"].is_null(), is_floor, "{id}");
    }
}

/// Measures one peer that may not be there; then that must be said.
fn measured_or_said(peer: &str, said: &str) {
    let (output, left) =
        run(&["peers", "--wait", "block", "--only", peer, "--rounds", "1", "--time", "4", "--json"]);
    assert_eq!(left, Vec::<String>::new());
    if output.status.success() {
        let json = json(&output);
        let figures = json["figures"].as_array().unwrap();
        let own = figures.iter().find(|figure| figure["id"] == format!("peers.{peer}")).unwrap();
        assert!(own["rounds"][0]["count"].as_u64() > Some(0), "{own}");
    } else {
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
}

#[test]
fn a_message_queue_is_measured_or_its_absence_said() {
    if two_processors() {
        measured_or_said("mq", "message queue");
        measured_or_said("sysv", "message queue");
    }
}

#[test]
fn iceoryx2_is_measured_or_how_to_build_it_in_is_said() {
    if two_processors() {
        let _alone = PROCESSORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        measured_or_said("iceoryx2", "--features peers");
        measured_or_said("iceoryx2-event", "--features peers");
    }
}

#[test]
fn a_broker_is_measured_beside_the_server_or_is_not_on_path() {
    if !two_processors() {
        return;
    }
    let _alone = PROCESSORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for broker in ["redis", "nats"] {
        let (output, left) =
            run(&["peers", "--only", broker, "--quick", "--rounds", "1", "--time", "4", "--json"]);
        assert_eq!(left, Vec::<String>::new());
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(69), "{output:?}");
            assert!(text(&output.stderr).contains("is not on PATH"), "{output:?}");
            continue;
        }
        let json = json(&output);
        let ids: Vec<&str> =
            json["figures"].as_array().unwrap().iter().map(|figure| figure["id"].as_str().unwrap()).collect();
        let of = |who: &str| ["loop", "delivery"].map(|part| format!("brokers.{who}.{part}"));
        let fan = |part: &str| ["halyard", broker].map(|who| format!("brokers.{who}.16.{part}"));
        let expected = ["relay.4.adaptive".to_owned()].into_iter().chain(of("halyard")).chain(of(broker));
        let expected =
            expected.chain(["brokers.copies.16.rate".to_owned()]).chain(fan("rate")).chain(fan("last"));
        assert_eq!(ids, expected.collect::<Vec<_>>());
        assert!(json["brokers"][0].as_str().is_some_and(|version| !version.is_empty()));
    }
}

#[test]
fn brokers_that_are_not_on_path_are_named() {
    if !two_processors() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    for args in [&["peers", "--brokers", "--only", "pipe"][..], &["peers", "--only", "nats,pipe"]] {
        let output = bench(args).env("PATH", empty.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        assert!(text(&output.stderr).contains("nats-server is not on PATH"), "{output:?}");
    }
}

#[test]
fn a_broker_that_does_not_start_says_why() {
    use std::os::unix::fs::PermissionsExt as _;
    if !two_processors() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("redis-server");
    // It is given a folder for its log by `--dir`, the last option.
    let script =
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\necho 'no memory today' > \"$1/log\"\nexit 3\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/bin:/usr/bin", folder.path().display());
    let output = bench(&["peers", "--only", "redis", "--quick"]).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(text(&output.stderr).contains("no memory today"), "{output:?}");
}

#[test]
fn a_chat_stands_beside_the_bare_relay_of_the_same_run() {
    let figures = figures(&[
        "chat",
        "--wait",
        "adaptive,block",
        "--text",
        "500",
        "--rate",
        "0",
        "--way",
        "broadcaster",
    ]);
    let of = |how: &str| {
        let parts = ["loop", "delivery", "stage.router", "stage.broadcaster", "stage.receiver"];
        let chat = parts.map(|part| format!("chat.{how}.{part}"));
        [format!("relay.4.{how}")].into_iter().chain(chat).collect::<Vec<_>>()
    };
    assert_eq!(ids(&figures), [of("adaptive"), of("block")].concat());
    let whole = &figures[1].1;
    assert_eq!(whole["floor"], "relay.4.adaptive");
    assert!(whole["ratio"]["median"].as_f64() > Some(0.0));
}

#[test]
fn direct_delivery_stands_beside_one_thread_less() {
    let figures = figures(&["chat", "--rate", "5000", "--way", "direct"]);
    let of = |wanted: &str| &figures.iter().find(|(id, _)| id == wanted).unwrap().1;
    assert_eq!(of("chat.adaptive.direct.loop")["floor"], "relay.3.adaptive");
    assert_eq!(of("chat.adaptive.direct.open.5000.whole")["floor"], "chain.2.adaptive.5000");
    assert!(!ids(&figures).contains(&"chat.adaptive.loop"));
}

/// Those of some ids.
fn pick(figures: &[(String, Value)], wanted: impl Fn(&str) -> bool) -> Vec<(&str, &Value)> {
    figures.iter().filter(|(id, _)| wanted(id)).map(|(id, figure)| (id.as_str(), figure)).collect()
}

#[test]
fn an_open_loop_stands_beside_the_chain_of_as_many_sleeps() {
    let figures = figures(&["chat", "--rate", "5000", "--way", "broadcaster"]);
    let open = pick(&figures, |id| id.starts_with("chat.adaptive.open.5000."));
    let parts = ["whole", "delivery", "stage.router", "stage.broadcaster", "stage.receiver"];
    let all = parts.iter().chain(&["cpu.server", "cpu.client"]);
    let expected: Vec<String> = all.map(|part| format!("chat.adaptive.open.5000.{part}")).collect();
    assert_eq!(open.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected);
    let whole = open[0].1;
    assert!(whole["floor"].as_str().is_some_and(|floor| floor.starts_with("chain.")), "{whole}");
    assert!(whole["ratio"]["median"].as_f64() > Some(0.0));
    // The sender says all of them, late or not; those for warming up do not count.
    assert!(open[..5].iter().all(|(_, figure)| figure["rounds"][0]["count"] == 100));
    assert!(open[5..].iter().all(|(_, cpu)| cpu["value"]["median"].as_f64() > Some(0.0)));
}

#[test]
fn fan_out_stands_beside_bare_copies() {
    let _alone = PROCESSORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let figures = figures(&["fanout", "--members", "1,20"]);
    let parts = ["last", "copies.rate", "rate", "copies.cost", "cost"];
    let expected = [1, 20].iter().flat_map(|n| parts.map(|part| format!("fanout.{n}.{part}")));
    assert_eq!(ids(&figures), expected.collect::<Vec<_>>());
    for (id, figure) in &figures {
        assert!(figure["value"]["min"].as_f64() > Some(0.0), "{id}");
        let has_floor = !id.contains("copies") && !id.ends_with("last");
        assert_eq!(figure["ratio"].is_object(), has_floor, "{id}");
    }
}

#[test]
fn honest_clients_are_timed_alone_beside_a_busy_process_and_beside_each_kind_of_flooder() {
    let _alone = PROCESSORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let figures = figures(&["flood", "--clients", "3", "--rate", "1000"]);
    let all = ["alone", "busy", "heeding", "raw", "stray"];
    let parts = |who: &str| match who {
        "alone" => &["cpu"][..],
        "busy" => &["p99.alone", "cpu"],
        "raw" => &["p99.alone", "p99.busy", "cpu", "pushed", "served", "thrown-out", "refused", "cost"],
        _ => &["p99.alone", "p99.busy", "cpu", "pushed", "served", "cost"],
    };
    let quantities =
        all.iter().flat_map(|who| parts(who).iter().map(move |part| format!("flood.{who}.{part}")));
    let expected = all.iter().map(|who| format!("flood.{who}")).chain(quantities);
    assert_eq!(ids(&figures), expected.collect::<Vec<_>>());
    let of = |id: &str| &figures.iter().find(|(own, _)| own == id).unwrap().1;
    for who in all {
        // Three clients hear what all three say: 20 messages each, without those for warming up.
        assert_eq!(of(&format!("flood.{who}"))["rounds"][0]["count"], 3 * 3 * 20);
    }
    assert!(of("flood.heeding.served")["value"]["min"].as_f64() > Some(0.0));
    assert!(
        ["raw", "stray"]
            .iter()
            .all(|who| { of(&format!("flood.{who}.pushed"))["value"]["min"].as_f64() > Some(0.0) })
    );
    assert_eq!(of("flood.stray.served")["value"]["max"], 0.0, "nothing is done for one that is no client");
}

#[test]
fn scale_compares_loads_with_the_smallest() {
    let args = ["scale", "--clients", "4:1,12:3", "--per-process", "8", "--idle", "20"];
    let figures = figures(&args);
    let parts =
        ["connect", "delivery", "server.private", "shared", "client.private", "idle.server", "idle.clients"];
    let expected = [4, 12].iter().flat_map(|n| parts.map(|part| format!("scale.{n}.{part}")));
    assert_eq!(ids(&figures), expected.collect::<Vec<_>>());
    assert_eq!(figures[7].1["rounds"][0]["count"], 12, "each connection counts");
    assert_eq!(figures[8].1["floor"], "scale.4.delivery");
    assert!(figures[8].1["ratio"]["median"].as_f64() > Some(0.0));
    assert!(figures[10].1["value"]["median"].as_f64() > Some(0.0), "reply rings take memory");
}

#[test]
fn broadcasters_are_compared_with_one() {
    let figures = figures(&["broadcasters", "--most", "2", "--members", "6", "--pin", "no"]);
    let parts = ["last", "rate", "cost"];
    let expected = [1, 2].iter().flat_map(|n| parts.map(|part| format!("broadcasters.{n}.{part}")));
    assert_eq!(ids(&figures), expected.collect::<Vec<_>>());
    for (own, floor) in [(3, 0), (4, 1), (5, 2)] {
        assert_eq!(figures[own].1["floor"], figures[floor].0);
    }
}

#[test]
fn the_table_shows_the_ratio_to_the_floor() {
    let (output, _) = run(&["chat", "--rounds", "1", "--time", "4", "--pin", "no", "--rate", "0"]);
    let table = text(&output.stdout);
    assert!(table.contains("p50 / floor") && table.contains(" ×") && table.contains("cores"), "{table}");
}

#[test]
fn wrong_options_are_usage_errors() {
    for args in [
        &["hop", "--record", "57"][..],
        &["hop", "--wait", "sleep"],
        &["hop", "--pin", "0"],
        &["chat", "--text", "0"],
        &["throughput", "--producers", "0"],
        &["throughput", "--slot", "56"],
        &["throughput", "--capacity", "100"],
        &["throughput", "--quick", "--pin", "0,9999"],
        &["peers", "--only", "carrier-pigeon"],
        &["peers", "--pin", "no"],
        &["peers", "--pin", "0,9999"],
        &["chat", "--rounds", "0"],
        &["chat", "--rate", "x"],
        &["fanout", "--members", "0"],
        &["fanout", "--capacity", "48"],
        &["fanout", "--text", "129"],
        &["fanout", "--wait", "yield,block", "--members", "1"],
        &["flood", "--beside", "nobody"],
        &["scale", "--clients", "10:11"],
        &["broadcasters", "--most", "0"],
        &["replay"],
        &["replay", "--capacity", "100", "data/night.log"],
        &["replay", "--speed", "0", "data/night.log"],
        &["nothing"],
    ] {
        let output = bench(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_processor_that_is_not_there_is_named() {
    let (output, left) = run(&["hop", "--quick", "--pin", "0,9999"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("9999"), "{}", text(&output.stderr));
    assert_eq!(left, Vec::<String>::new());
}
