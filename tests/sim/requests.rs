//! Requests in the line of a socket's data: short stories.

use std::time::Duration;

use selvedge::base::FaultPoint;
use selvedge::endpoint::Command;
use selvedge::socket::SocketConfig;

use crate::asks::Answered;
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND, pair};
use crate::world::World;

/// Write, ask, ask, write, ask.
const LINE: [bool; 5] = [false, true, true, false, true];
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn finish(mut world: World) {
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn requests_and_data_keep_the_order_of_the_calls_over_a_lossy_fabric() {
    for seed in 0..100 {
        let (mut world, near, far) = pair(seed, &SocketConfig::default());
        world.net.faults = Faults { loss: 0.3, duplicate: 0.1, reorder: 0.1, ..QUIET };
        for _ in 0..10 {
            world.say(near, &LINE, MINUTE, 10);
            world.say(far, &LINE, MINUTE, 10);
            world.run_for(Duration::from_millis(seed * 7 % 300));
        }
        let all = |world: &World| [near, far].iter().all(|sock| world.sides[sock].heard == 50);
        assert!(world.run_until(2 * MINUTE, all), "seed {seed}: {:?}", world.sides);
        finish(world);
    }
}

#[test]
fn what_is_allowed_but_rare_breaks_no_order() {
    for point in
        [FaultPoint::TinyWindow, FaultPoint::DelayedAck, FaultPoint::EarlyAck, FaultPoint::DuplicateDelivery]
    {
        let (mut world, near, far) = pair(point as u64, &SocketConfig::default());
        world.net.rare.set(1 << point as u16, 300);
        for _ in 0..30 {
            world.say(near, &LINE, MINUTE, 10);
            world.say(far, &LINE, MINUTE, 10);
            world.run_for(SECOND);
        }
        world.come_to_rest();
        assert_eq!([near, far].map(|sock| world.sides[&sock].heard), [150, 150], "{point:?}");
        world.assert_right("this story");
    }
}

#[test]
fn a_peer_that_does_not_speak_the_stream_is_asked_as_well() {
    for (client, server) in [(true, false), (false, true), (false, false)] {
        let config = |stream| SocketConfig { stream, ..SocketConfig::default() };
        let mut world = World::new(21);
        let (one, two) = (world.node(), world.node());
        world.listen(one, "story", "server", config(server));
        let near = world.connect(two, "story", config(client));
        let early = world.say(near, &LINE, TEN_SECONDS, 10);
        world.run_for(SECOND);
        let far = *world.sides.keys().find(|(node, _)| *node == one).expect("accepted");
        let late = world.say(far, &LINE, TEN_SECONDS, 10);
        world.run_for(11 * SECOND);
        for (sock, keys) in [(near, early), (far, late)] {
            let outcomes = world.outcomes(sock, &keys);
            assert!(outcomes.contains(&Some(Answered::Answer)), "{client} {server}: {outcomes:?}");
            assert!(outcomes.iter().all(Option::is_some), "{client} {server}: {outcomes:?}");
        }
        finish(world);
    }
}

#[test]
fn five_thousand_requests_in_one_tick_find_their_answers_both_ways() {
    let (mut world, near, far) = pair(22, &SocketConfig::default());
    let keys = [near, far].map(|sock| world.say(sock, &[true; 5000], MINUTE, 3));
    world.run_for(2 * SECOND);
    for (sock, keys) in [near, far].into_iter().zip(keys) {
        let asked = keys.iter().map(|key| &world.asks[&(sock, *key)]);
        assert!({ asked }.all(|ask| ask.handled == 1), "each handler ran once, within two seconds");
    }
    finish(world);
}

#[test]
fn a_reader_that_handles_nothing_still_gets_requests_and_answers() {
    let config = SocketConfig { max_queue: 3, ..SocketConfig::default() };
    let (mut world, near, far) = pair(23, &config);
    let id = world.sides[&near].id.clone();
    world.stuck.insert(id);
    // Both windows of data are full.
    world.write(near, 3, 10);
    world.write(far, 3, 10);
    world.run_for(SECOND);
    let keys = [near, far].map(|sock| world.say(sock, &[true; 20], MINUTE, 10));
    world.run_for(SECOND);
    for (sock, keys) in [near, far].into_iter().zip(keys) {
        let answered = world.outcomes(sock, &keys).iter().filter(|outcome| outcome.is_some()).count();
        assert!(answered > 10, "{answered}");
    }
    finish(world);
}

#[test]
fn who_is_away_for_too_long_is_not_waited_for_and_what_had_not_left_was_not_done() {
    let (mut world, near, far) = pair(24, &SocketConfig::default());
    world.command(near.0, Command::Disconnect);
    world.run_for(Duration::from_millis(20));
    let kept = world.say(far, &LINE, MINUTE, 10);
    world.run_for(2 * SECOND);
    let failed = Some(Answered::Failed { is_unhandled: true });
    assert_eq!(world.outcomes(far, &kept), [failed; 3]);
    let late = world.say(far, &LINE, MINUTE, 10);
    assert_eq!(world.outcomes(far, &late), [failed; 3]);
    world.command(near.0, Command::Connect);
    world.run_for(10 * SECOND);
    assert!([&kept, &late].into_iter().flatten().all(|key| world.asks[&(far, *key)].handled == 0));
    assert_eq!(world.sides[&near].received, 4, "the data was kept");
    finish(world);
}

#[test]
fn a_request_whose_time_is_over_before_it_leaves_is_never_handled() {
    let (mut world, near, far) = pair(25, &SocketConfig::default());
    world.net.cut(near.0, "cut");
    world.net.kill_broker();
    world.run_for(Duration::from_millis(1));
    let keys = world.say(near, &LINE, SECOND, 10);
    world.run_for(2 * SECOND);
    assert_eq!(world.outcomes(near, &keys), [Some(Answered::Failed { is_unhandled: true }); 3]);
    world.net.start_broker(world.now);
    world.run_for(MINUTE);
    assert!(keys.iter().all(|key| world.asks[&(near, *key)].handled == 0));
    assert_eq!(world.sides[&far].received, 2);
    finish(world);
}

#[test]
fn a_cancelled_request_is_settled_by_nothing_else() {
    for pause in [0, 1, 3, 10, 50] {
        let (mut world, near, _) = pair(26 + pause, &SocketConfig::default());
        world.slowness = 5;
        let keys = world.say(near, &[true; 50], MINUTE, 10);
        world.run_for(Duration::from_millis(pause));
        keys.iter().for_each(|key| world.cancel_ask(near, *key));
        world.run_for(SECOND);
        assert!(world.outcomes(near, &keys).iter().all(Option::is_some));
        finish(world);
    }
}

#[test]
fn a_close_says_of_each_request_whether_a_handler_may_have_had_it() {
    for seed in 0..40 {
        let (mut world, near, far) = pair(100 + seed, &SocketConfig::default());
        world.slowness = 20;
        let keys: Vec<u64> = (0..20)
            .flat_map(|_| {
                world.run_for(Duration::from_millis(1));
                world.say(near, &LINE, MINUTE, 10)
            })
            .collect();
        world.run_for(Duration::from_millis(seed));
        world.close(far);
        world.run_for(SECOND);
        assert!(!world.sides[&near].is_open());
        assert!(world.outcomes(near, &keys).iter().all(Option::is_some));
        finish(world);
    }
}
