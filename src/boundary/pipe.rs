//! A pipe: writes its events.

use super::EventBuffer;
use super::kinds::PipeEventKind as Kind;
use crate::base::Handle;
use crate::link::PipeEvent;
use crate::wire::{Encoding, Payload};

/// Writes the head and the body of a record.
pub(super) fn write(out: &mut EventBuffer, pipe: Handle, event: PipeEvent) {
    match event {
        PipeEvent::Bytes(raw) => {
            out.head(Kind::PipeBytes, pipe);
            out.payload(&Payload { encoding: Encoding(0), raw });
        }
        PipeEvent::Consumed(count) => {
            out.head(Kind::PipeConsumed, pipe);
            out.count(count);
        }
        PipeEvent::End => out.head(Kind::PipeEnd, pipe),
    }
}
