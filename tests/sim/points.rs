//! The points in the code: each is reached, and what is allowed there breaks nothing.

use std::time::Duration;

use selvedge::base::FaultPoint;
use selvedge::socket::SocketConfig;

use crate::socket::pair;

#[test]
fn every_point_is_reached_and_breaks_nothing() {
    let points = [
        FaultPoint::EarlyAck,
        FaultPoint::DelayedAck,
        FaultPoint::TinyWindow,
        FaultPoint::SpuriousReconnect,
        FaultPoint::DuplicateDelivery,
        FaultPoint::LostCredit,
        FaultPoint::ShortTurn,
    ];
    for point in points {
        let config = SocketConfig { piece_bytes: 4000, ..SocketConfig::default() };
        let (mut world, near, far) = pair(point as u64, &config);
        world.net.rare.set(1 << point as u16, 300);
        for _ in 0..30 {
            // The last one leaves in pieces.
            for (count, size) in [(8, 10), (1, 17_000)] {
                world.write(near, count, size);
                world.write(far, count, size);
            }
            world.run_for(Duration::from_secs(1));
        }
        assert!(world.net.rare.taken() > 3, "{point:?}: {}", world.net.rare.taken());
        world.come_to_rest();
        assert_eq!(world.sides[&near].received, 270, "{point:?}");
        world.assert_right("this story");
    }
}
