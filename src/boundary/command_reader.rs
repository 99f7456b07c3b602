//! Reads batches: what JavaScript wants, packed into one byte string (`docs/internals/boundary.md`,
//! "Commands").

use bytes::Bytes;

use super::broker::{self, AuthReply};
use super::fabric_commands;
use super::kinds::{BrokerCommandKind, FabricCommandKind, SocketyCommandKind, System};
use super::record_reader::{RecordReader, malformed};
use crate::base::{Failure, Handle};
use crate::endpoint;

/// One record, by its system.
#[derive(Debug)]
pub enum Record {
    /// A command to a client.
    Fabric(endpoint::Command),
    /// A reply to a broker.
    Broker(AuthReply),
    /// Operations of a Sockety connection, for [`super::read_operations`].
    Sockety(Bytes),
}

/// Calls `visit` with each record and the object that it is for. What `lib` writes is well-formed; a record
/// that is not is a bug, left out, and the first such is reported.
pub fn read_batch(batch: &[u8], mut visit: impl FnMut(Handle, Record)) -> Result<(), Failure> {
    let (mut rest, mut outcome) = (batch, Ok(()));
    while !rest.is_empty() {
        let (mut record, next) = RecordReader::split(rest)?;
        rest = next;
        let (system, kind, handle) = (record.u8()?, record.u8()?, record.u32()?);
        match read_record(system, kind, &mut record) {
            Ok(record) => visit(handle, record),
            Err(failure) => outcome = outcome.and(Err(failure)),
        }
    }
    outcome
}

fn read_record(system: u8, kind: u8, record: &mut RecordReader<'_>) -> Result<Record, Failure> {
    let unknown = || malformed(format!("unknown command {kind} of system {system}"));
    match System::from_number(system) {
        Some(System::Fabric) => {
            let kind = FabricCommandKind::from_number(kind).ok_or_else(unknown)?;
            fabric_commands::read(kind, record).map(Record::Fabric)
        }
        Some(System::Broker) => {
            let kind = BrokerCommandKind::from_number(kind).ok_or_else(unknown)?;
            broker::read(kind, record).map(Record::Broker)
        }
        Some(System::Sockety) => match SocketyCommandKind::from_number(kind).ok_or_else(unknown)? {
            SocketyCommandKind::SocketyOperations => Ok(Record::Sockety(record.rest())),
        },
        Some(System::Pipe) | None => Err(unknown()),
    }
}
