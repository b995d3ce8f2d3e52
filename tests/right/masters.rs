//! Who was master, how a failover went, and what the timeline and the pages say of it.
