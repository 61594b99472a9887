"""What each page shows: gathered from the tracker as data, before anything is laid out or translated."""
