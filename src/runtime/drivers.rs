//! The running machines of one kind that one JavaScript environment has, by their handles.

use std::collections::HashMap;

use super::DriverHandle;
use crate::base::Handle;
use crate::boundary::Reporting;

/// The machines. Those that are still there when it is dropped stop where they are.
pub struct Drivers<M: Reporting>(HashMap<Handle, DriverHandle<M>>);

impl<M: Reporting> Drivers<M> {
    /// Adds one that runs.
    pub fn insert(&mut self, handle: Handle, driver: DriverHandle<M>) {
        self.0.insert(handle, driver);
    }

    /// Hands commands to one, in order. Those for one that is gone are dropped.
    pub fn put(&self, handle: Handle, commands: impl IntoIterator<Item = M::Command>) {
        if let Some(driver) = self.0.get(&handle) {
            driver.put(commands);
        }
    }

    /// Forgets one that is closing: it accepts no more commands.
    pub fn forget(&mut self, handle: Handle) {
        self.0.remove(&handle);
    }

    /// Reads what has arrived for one, on this thread. Returns whether it is there.
    pub fn read_ready(&self, handle: Handle) -> bool {
        self.0.get(&handle).map(DriverHandle::read_ready).is_some()
    }

    /// Returns the bytes of commands that they have not taken yet.
    pub fn weight(&self) -> usize {
        self.0.values().map(DriverHandle::weight).sum()
    }

    /// Returns the same of one.
    pub fn weight_of(&self, handle: Handle) -> usize {
        self.0.get(&handle).map_or(0, DriverHandle::weight)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M: Reporting> Default for Drivers<M> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<M: Reporting> Drop for Drivers<M> {
    fn drop(&mut self) {
        self.0.values().for_each(DriverHandle::abandon);
    }
}

/// Commands for machines of one kind, in the order that they came in. Most batches are for one machine: runs
/// are handed over, not single commands.
pub struct Submission<'a, M: Reporting> {
    drivers: &'a mut Drivers<M>,
    handle: Handle,
    run: Vec<M::Command>,
}

impl<'a, M: Reporting> Submission<'a, M> {
    /// Begins one.
    pub fn new(drivers: &'a mut Drivers<M>) -> Self {
        Self { drivers, handle: 0, run: Vec::new() }
    }

    /// Adds a command. `closes`: nothing follows it for this machine.
    pub fn push(&mut self, handle: Handle, command: M::Command, closes: bool) {
        if handle != self.handle {
            self.flush();
            self.handle = handle;
        }
        self.run.push(command);
        if closes {
            self.flush();
            self.drivers.forget(handle);
        }
    }

    /// Hands over what is left.
    pub fn flush(&mut self) {
        if !self.run.is_empty() {
            self.drivers.put(self.handle, self.run.drain(..));
        }
    }
}
