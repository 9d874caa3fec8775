"""The disk: files that are whole or absent, full disks, one run at a time in a folder."""
