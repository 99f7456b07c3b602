//! The reliable socket alone: written, sent, received, handled, reported, and forgotten by the sender.

use std::time::Instant;

use bytes::Bytes;
use selvedge::socket::{Data, Outgoing, Receiver, Sender, SocketConfig};
use selvedge::wire::{Messages, Payload};

use super::{PAYLOAD_BYTES, Work};

/// Messages until the receiver reports: what about one read of a connection brings.
const BATCH: u32 = 100;

/// Both halves, with nothing between them.
#[allow(clippy::disallowed_methods)]
pub fn socket() -> Work {
    // The only look at the clock; no work depends on it.
    let now = Instant::now();
    let config = SocketConfig::default();
    let (mut sender, mut receiver) = (Sender::new(&config), Receiver::new(config.receive_window()));
    sender.attach(now);
    receiver.attach();
    let payload = Payload::msgpack(Bytes::from_static(&[7; PAYLOAD_BYTES]));
    Box::new(move |messages| {
        let before = sender.acked();
        for start in (0..messages).step_by(BATCH as usize) {
            for _ in start..messages.min(start + BATCH) {
                let batch = Messages::one(payload.clone(), None);
                sender.write(now, batch, false).expect("the window is wide enough");
            }
            let mut handled = 0;
            while let Some((seq, batch)) = sender.poll_transmit(now) {
                let Messages::One(part) = batch else { panic!("one by one") };
                receiver.handle_data(now, Data::new(seq, part)).expect("in order");
                handled += u64::from(receiver.poll_data().is_some());
            }
            receiver.consumed(handled);
            while let Some(ask) = receiver.poll_transmit() {
                let Outgoing::Ack { upto, .. } = ask else { panic!("nothing is missing") };
                sender.handle_ack(now, upto).expect("it was sent");
                receiver.handle_ack_reply(now, true);
            }
        }
        assert_eq!(sender.acked() - before, u64::from(messages));
    })
}
