//! Conat's language: Engine.IO 4 framing, Socket.IO 5 packets, and Conat's events in them.
