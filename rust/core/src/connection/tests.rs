//! Both ends simulated, in virtual time.
