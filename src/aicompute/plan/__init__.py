"""How work is laid out: groups over tiers, pipeline schedules, memory of a rank, enumeration of plans. Pure."""
