//! Connections of an HTTP server of the application's: JavaScript brings what they receive, and takes away
//! what they are to send.

use std::net::SocketAddr;

use bytes::Bytes;

use super::session::Session;
use crate::base::{Failure, Handle};
use crate::boundary::HostEvent;
use crate::transport::IncomingConnection;
use crate::transport::pipe::pipe;
use crate::transport::tls::PeerCertificate;

impl Session {
    /// Opens a connection that has come to the application's HTTP server: `head` is its request, and what
    /// came behind it.
    pub fn open_pipe(
        &mut self,
        handle: Handle,
        broker: Handle,
        address: Option<SocketAddr>,
        certificate: Option<PeerCertificate>,
        is_to_loopback: bool,
        head: &[u8],
    ) -> Result<(), Failure> {
        let acceptor = self.acceptor(broker)?.clone();
        let events = self.events.clone();
        let (stream, end) = pipe(move |event| events.put([HostEvent::Pipe(handle, event)]));
        end.push(Bytes::copy_from_slice(head));
        self.pipes.insert(handle, end);
        let connection = IncomingConnection::new(stream, address).with_certificate(certificate);
        acceptor.accept(connection.to_loopback(is_to_loopback));
        Ok(())
    }

    /// Passes on bytes that the connection has received.
    pub fn bring(&self, handle: Handle, bytes: &[u8]) {
        if let Some(pipe) = self.pipes.get(&handle) {
            pipe.push(Bytes::copy_from_slice(bytes));
        }
    }

    /// Reports that so many bytes have been written.
    pub fn wrote(&self, handle: Handle, count: usize) {
        if let Some(pipe) = self.pipes.get(&handle) {
            pipe.on_written(count);
        }
    }

    /// Reports the end of the connection. What was passed on before is still read.
    pub fn end_pipe(&mut self, handle: Handle, orderly: bool) {
        if let Some(pipe) = self.pipes.remove(&handle) {
            pipe.end(orderly);
        }
    }
}
