"""What people read: tables of a run, of a program, of the demo."""
