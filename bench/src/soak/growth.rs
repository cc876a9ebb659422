//! Whether something grows: a straight line through the later samples, and by how much it rises.
//!
//! The first third is left out: caches fill, allocators take their arenas. A single high or low sample (somebody was
//! killed just then) moves the line little; a leak moves all of them.

use super::sample::Sample;
use crate::chaos::residue::Holdings;
use crate::figures::Unit;

/// The server's own memory may vary by so much: what waits for slow clients, buffers that an allocator keeps. Bytes.
const SERVER_MEMORY: f64 = 4.0 * 1024.0 * 1024.0;
/// The same for a client.
const CLIENT_MEMORY: f64 = 2.0 * 1024.0 * 1024.0;
/// Descriptors, mappings and threads of a client that stays.
const CLIENT_COUNT: f64 = 4.0;
/// Descriptors and mappings that the server has for each client: how many are connected varies.
const PER_CLIENT: f64 = 4.0;
/// With fewer samples nothing is said.
const FEWEST: usize = 4;

/// Something that must not grow.
struct Figure {
    what: &'static str,
    of: fn(&Holdings) -> f64,
    bound: f64,
    unit: Unit,
}

/// What has grown beyond its bound, in words.
pub(super) fn grown(samples: &[Sample], clients: u16) -> Vec<String> {
    let later = &samples[samples.len() / 3..];
    if later.len() < FEWEST {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut look = |who: &str, of: &dyn Fn(&Sample) -> Option<Holdings>, memory: f64, count: f64| {
        let figures = [
            Figure { what: "own memory", of: |held| held.anonymous as f64, bound: memory, unit: Unit::Bytes },
            Figure {
                what: "descriptors",
                of: |held| held.descriptors as f64,
                bound: count,
                unit: Unit::Count,
            },
            Figure { what: "mappings", of: |held| held.mappings as f64, bound: count, unit: Unit::Count },
            Figure {
                what: "threads",
                of: |held| held.threads as f64,
                bound: count.min(CLIENT_COUNT),
                unit: Unit::Count,
            },
        ];
        for Figure { what, of: figure, bound, unit } in figures {
            let points = later.iter().filter_map(|sample| Some((sample.seconds, figure(&of(sample)?))));
            let rise = rise(&points.collect::<Vec<_>>());
            if rise > bound {
                let (rise, bound) = (unit.show(rise), unit.show(bound));
                found.push(format!(
                    "{who}: {what} grew by {rise} over the later samples; {bound} is the bound"
                ));
            }
        }
    };
    look("the server", &|sample| Some(sample.server), SERVER_MEMORY, PER_CLIENT * f64::from(clients));
    for index in 0..later[0].clients.len() {
        let of = move |sample: &Sample| sample.clients.get(index).copied();
        look(&format!("client {index}"), &of, CLIENT_MEMORY, CLIENT_COUNT);
    }
    found
}

/// By how much the least-squares line through the points rises from the first to the last.
fn rise(points: &[(f64, f64)]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return 0.0 };
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xy, mut xx) = (0.0, 0.0);
    for point in points {
        xy += (point.0 - x) * (point.1 - y);
        xx += (point.0 - x) * (point.0 - x);
    }
    if xx == 0.0 { 0.0 } else { xy / xx * (last.0 - first.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn held(anonymous: u64, descriptors: usize) -> Holdings {
        Holdings {
            threads: 6,
            descriptors,
            shared_mappings: 3,
            mappings: 60 + descriptors,
            resident: anonymous,
            proportional: anonymous,
            anonymous,
        }
    }

    fn samples(server: impl Fn(u64) -> Holdings, client: impl Fn(u64) -> Holdings) -> Vec<Sample> {
        let sample = |minute: u64| Sample {
            seconds: minute as f64 * 60.0,
            server: server(minute),
            clients: vec![client(minute)],
            messages: 1,
            p50_ns: 1,
            p99_ns: 1,
            p999_ns: 1,
            max_ns: 1,
        };
        (0..30).map(sample).collect()
    }

    #[test]
    fn a_line_rises_as_its_points_do() {
        assert_eq!(rise(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]), 2.0);
        assert_eq!(rise(&[(0.0, 5.0), (1.0, 5.0)]), 0.0);
        assert_eq!(rise(&[(3.0, 5.0)]), 0.0);
        assert!(rise(&[(0.0, 9.0), (1.0, 1.0)]) < 0.0);
    }

    #[test]
    fn what_only_varies_has_not_grown() {
        let wavy = |minute: u64| held(10 * MIB + minute % 3 * MIB, 20 + (minute % 5) as usize);
        assert_eq!(grown(&samples(wavy, |_| held(3 * MIB, 9)), 8), Vec::<String>::new());
        // Warming up is not growing.
        let warms = |minute: u64| held(10 * MIB + minute.min(8) * 4 * MIB, 20);
        assert_eq!(grown(&samples(warms, |_| held(3 * MIB, 9)), 8), Vec::<String>::new());
        let peak = |minute: u64| held(if minute == 25 { 30 * MIB } else { 10 * MIB }, 20);
        assert_eq!(grown(&samples(peak, |_| held(3 * MIB, 9)), 8), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_leak_is_found() {
        let steady = |_| held(3 * MIB, 9);
        let found = |server: &dyn Fn(u64) -> Holdings, client: &dyn Fn(u64) -> Holdings| {
            grown(&samples(server, client), 8).join("; ")
        };
        assert!(
            found(&|minute| held(10 * MIB + minute * MIB / 2, 20), &steady)
                .contains("the server: own memory")
        );
        assert!(
            found(&|minute| held(10 * MIB, 20 + 3 * minute as usize), &steady)
                .contains("the server: descriptors")
        );
        assert!(
            found(&|_| held(MIB, 9), &|minute| held(MIB + minute * MIB / 4, 9))
                .contains("client 0: own memory")
        );
        assert!(
            found(&|_| held(MIB, 9), &|minute| held(MIB, 9 + minute as usize))
                .contains("client 0: descriptors")
        );
        let threads = |minute: u64| Holdings { threads: minute as usize, ..held(MIB, 9) };
        assert!(found(&threads, &steady).contains("the server: threads"));
    }
}
