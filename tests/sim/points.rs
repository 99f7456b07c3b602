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
    ];
    for point in points {
        let (mut world, near, far) = pair(point as u64, &SocketConfig::default());
        world.net.rare.set(1 << point as u8, 300);
        for _ in 0..30 {
            world.write(near, 9, 10);
            world.write(far, 9, 10);
            world.run_for(Duration::from_secs(1));
        }
        assert!(world.net.rare.taken() > 3, "{point:?}: {}", world.net.rare.taken());
        world.come_to_rest();
        assert_eq!(world.sides[&near].received, 270, "{point:?}");
        world.assert_right("this story");
    }
}
