-- Whoever asks for the families of a session knows whose they are, and one person has few. Each sign-in and each code wrote to
-- this index, in a place of its own each time.
drop index family_by_session;
