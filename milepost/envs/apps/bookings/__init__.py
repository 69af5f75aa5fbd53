"""A front desk: events to register for, rooms to book, passes for visitors."""
