//! A short soak: nothing grows, and a leak that was planted is found.

mod common;

use std::process::Output;

use common::{json, run, text};

fn soak(more: &[&str]) -> Output {
    let mut args = vec!["soak", "--seconds", "12", "--clients", "4", "--every", "800", "--json"];
    args.extend(more);
    let (output, left) = run(&args);
    assert_eq!(left, Vec::<String>::new());
    output
}

#[test]
fn nothing_grows_and_no_promise_is_broken() {
    let output = soak(&[]);
    let json = json(&output);
    assert!(output.status.success(), "{}{}", json["wrong"], text(&output.stderr));
    assert_eq!((&json["holds"], json["samples"].as_array().unwrap().len()), (&true.into(), 12));
    assert!(json["storm"]["kills"].as_u64().unwrap() > 0, "{}", json["storm"]);
    let messages =
        json["samples"].as_array().unwrap().iter().map(|sample| sample["messages"].as_u64().unwrap());
    assert!(messages.sum::<u64>() > 0);
}

#[test]
fn a_leak_is_found() {
    let output = soak(&["--plant-leak", "4000000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("own memory grew"), "{}", text(&output.stderr));
}
