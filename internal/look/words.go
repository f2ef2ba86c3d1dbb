package look

// line is one thing that we say, in each language.
type line struct{ en, de string }

// words is everything that pages say, by key. Sentence case, second person, short; German says du. A problem has three
// parts: what happened, what it means, what to do.
var words = map[string]line{
	// The frame.
	"frame.skip":     {"Skip to content", "Zum Inhalt springen"},
	"frame.footer":   {"Signing in here never asks for a password.", "Hier wirst du nie nach einem Passwort gefragt."},
	"frame.noscript": {"A passkey needs JavaScript for one moment: your browser only talks to your device through it. Everything else here works without. Turn it on for this site and reload.", "Ein Passkey braucht für einen Augenblick JavaScript: nur darüber spricht dein Browser mit deinem Gerät. Alles andere hier geht auch ohne. Schalte es für diese Seite ein und lade neu."},
	"ago.now":        {"just now", "gerade eben"},
	"ago.minute":     {"%d minute ago", "vor %d Minute"},
	"ago.minutes":    {"%d minutes ago", "vor %d Minuten"},
	"ago.hour":       {"%d hour ago", "vor %d Stunde"},
	"ago.hours":      {"%d hours ago", "vor %d Stunden"},
	"ago.day":        {"%d day ago", "vor %d Tag"},
	"ago.days":       {"%d days ago", "vor %d Tagen"},
	"in.now":         {"in a moment", "gleich"},
	"in.minute":      {"in %d minute", "in %d Minute"},
	"in.minutes":     {"in %d minutes", "in %d Minuten"},
	"in.hour":        {"in %d hour", "in %d Stunde"},
	"in.hours":       {"in %d hours", "in %d Stunden"},
	"in.day":         {"in %d day", "in %d Tag"},
	"in.days":        {"in %d days", "in %d Tagen"},

	// What the passkey script says by itself.
	"script.waiting":     {"Follow what your device asks for.", "Folge dem, was dein Gerät anzeigt."},
	"script.canceled":    {"Nothing happened: it was canceled, or took too long. Try again when you are ready.", "Nichts ist geschehen: es wurde abgebrochen oder hat zu lange gedauert. Versuche es noch einmal, wenn du so weit bist."},
	"script.unsupported": {"This browser can’t use passkeys. Try a current version of Firefox, Chrome, Edge or Safari.", "Dieser Browser kann keine Passkeys. Nimm eine aktuelle Version von Firefox, Chrome, Edge oder Safari."},
	"script.known":       {"This device already has a passkey for this account. Sign in with it, or use another device.", "Dieses Gerät hat schon einen Passkey für dieses Konto. Melde dich damit an, oder nimm ein anderes Gerät."},
	"script.offline":     {"The server could not be reached. Check your connection and try again.", "Der Server war nicht zu erreichen. Prüfe deine Verbindung und versuche es noch einmal."},

	// Signing in.
	"signin.title":   {"Sign in to %s", "Bei %s anmelden"},
	"signin.lead":    {"Use your passkey: your fingerprint, face, PIN or security key.", "Nimm deinen Passkey: Fingerabdruck, Gesicht, PIN oder Sicherheitsschlüssel."},
	"signin.button":  {"Sign in with a passkey", "Mit Passkey anmelden"},
	"signin.field":   {"Choose an account", "Konto wählen"},
	"signin.or":      {"or", "oder"},
	"signin.hint":    {"Your browser lists the passkeys of this device here.", "Hier zeigt dein Browser die Passkeys dieses Geräts."},
	"signin.help":    {"No passkey yet, or lost it?", "Noch keinen Passkey, oder verloren?"},
	"signin.helping": {"Ask your administrator for a link. They can give you one whether you are new here or have lost your device.", "Bitte deine Administration um einen Link. Den gibt es, wenn du neu bist und wenn du dein Gerät verloren hast."},
	"signin.again":   {"One more touch", "Noch eine Berührung"},
	"signin.fresh":   {"You are signed in. For what you are about to do, we want to be sure that it is you.", "Du bist angemeldet. Für das, was du vorhast, wollen wir sicher sein, dass du es bist."},

	"signin.hardware": {"The application asks for a certified security key. Another passkey signs you in, but doesn’t prove enough for it.", "Die Anwendung verlangt einen zertifizierten Sicherheitsschlüssel. Ein anderer Passkey meldet dich an, genügt ihr aber nicht."},
	"signin.nothing":  {"The application asks for a kind of sign-in that doesn’t exist here. Nothing you do can meet it.", "Die Anwendung verlangt eine Art der Anmeldung, die es hier nicht gibt. Du kannst sie nicht erfüllen."},
	"signin.lacks":    {"You have none on your account. Your administrator can tell you how to get one.", "Auf deinem Konto ist keiner. Deine Administration weiß, wie du einen bekommst."},
	"signin.unmet":    {"Go on without it", "Ohne weitermachen"},

	// Enrolment.
	"enrol.title":    {"Create your passkey", "Deinen Passkey anlegen"},
	"enrol.lead":     {"A passkey replaces passwords. It stays with your device, and only works on this site, so nobody can trick you out of it.", "Ein Passkey ersetzt Passwörter. Er bleibt bei deinem Gerät und geht nur auf dieser Seite: niemand kann ihn dir entlocken."},
	"enrol.for":      {"This passkey will be for", "Dieser Passkey wird sein für"},
	"enrol.wrong":    {"Not you? Close this page: the link was meant for somebody else.", "Das bist nicht du? Dann schließe diese Seite: der Link war für jemand anderen."},
	"enrol.button":   {"Create passkey", "Passkey anlegen"},
	"enrol.reading":  {"Reading your link …", "Dein Link wird gelesen …"},
	"enrol.once":     {"The link works once, for 15 minutes.", "Der Link gilt einmal, 15 Minuten lang."},
	"enrol.name":     {"Name of this device", "Name dieses Geräts"},
	"enrol.namehint": {"So that you recognise it later, such as “work laptop”.", "Damit du ihn später wiedererkennst, etwa „Arbeitslaptop“."},

	// The account.
	"account.title":        {"Your account", "Dein Konto"},
	"account.passkeys":     {"Passkeys", "Passkeys"},
	"account.passkeyslead": {"Keep at least two, on different devices: then losing one costs you nothing.", "Am besten hast du zwei, auf verschiedenen Geräten: dann kostet dich ein Verlust nichts."},
	"account.created":      {"Created", "Angelegt"},
	"account.used":         {"Last used", "Zuletzt benutzt"},
	"account.never":        {"never", "nie"},
	"account.synced":       {"Synced", "Synchronisiert"},
	"account.bound":        {"On one device", "Auf einem Gerät"},
	"account.certified":    {"Certified", "Zertifiziert"},
	"account.suspended":    {"Suspended", "Gesperrt"},
	"account.suspendedwhy": {"It answered as if there were two of it, so it is no longer accepted. If it is yours, remove it and add another. Tell your administrator.", "Er hat geantwortet, als gäbe es ihn zweimal, und wird nicht mehr angenommen. Entferne ihn, lege einen anderen an, und sag deiner Administration Bescheid."},
	"account.leftbehind":   {"You were recovered with another passkey, so this one is no longer accepted. If you have it again, you can restore it; if not, remove it.", "Dein Konto wurde mit einem anderen Passkey wiederhergestellt, darum wird dieser nicht mehr angenommen. Hast du ihn wieder, kannst du ihn zurückholen; sonst entferne ihn."},
	"account.restore":      {"Restore this passkey", "Diesen Passkey zurückholen"},
	"account.lesser":       {"Not enough", "Genügt nicht"},
	"account.lesserwhy":    {"Your organisation now asks for more than this passkey proves, so it doesn’t sign you in.", "Deine Organisation verlangt jetzt mehr, als dieser Passkey beweist: er meldet dich nicht an."},
	"account.inuse":        {"This session", "Diese Sitzung"},
	"account.add":          {"Add another passkey", "Noch einen Passkey hinzufügen"},
	"account.addgo":        {"Add passkey", "Passkey hinzufügen"},
	"account.addhint":      {"Your device asks for a touch. If your last one is more than five minutes ago, you sign in again first.", "Dein Gerät fragt nach einer Berührung. Liegt die letzte mehr als fünf Minuten zurück, meldest du dich erst noch einmal an."},
	"account.manage":       {"Change the passkey %s", "Ändern: Passkey %s"},
	"account.managed":      {"Change", "Ändern"},
	"account.newname":      {"New name", "Neuer Name"},
	"account.rename":       {"Rename", "Umbenennen"},
	"account.removelead":   {"Removing it ends the sessions that it opened. Delete it on your device as well, or it will go on offering it. This can’t be undone; you can add it again.", "Beim Entfernen enden die Sitzungen, die er geöffnet hat. Lösche ihn auch auf deinem Gerät, sonst bietet es ihn weiter an. Das lässt sich nicht rückgängig machen, aber du kannst ihn neu anlegen."},
	"account.remove":       {"Remove this passkey", "Diesen Passkey entfernen"},
	"account.last":         {"This is your only passkey that signs you in. Add another one before you remove it.", "Das ist dein einziger Passkey, der dich anmeldet. Lege einen zweiten an, bevor du ihn entfernst."},
	"account.sessions":     {"Where you are signed in", "Wo du angemeldet bist"},
	"account.sessionslead": {"If you don’t recognise one, end it, and remove the passkey that opened it.", "Kennst du eine nicht, dann beende sie und entferne den Passkey, der sie geöffnet hat."},
	"account.place":        {"Address", "Adresse"},
	"account.opened":       {"Signed in", "Angemeldet"},
	"account.seen":         {"Last seen", "Zuletzt gesehen"},
	"account.this":         {"This one", "Diese hier"},
	"account.end":          {"End", "Beenden"},
	"account.endnamed":     {"End the session on %s", "Beenden: Sitzung auf %s"},
	"account.signoutof":    {"Sign out of the session on %s", "Abmelden: Sitzung auf %s"},
	"account.endall":       {"End all other sessions", "Alle anderen Sitzungen beenden"},
	"account.signout":      {"Sign out", "Abmelden"},
	"account.console":      {"Console", "Konsole"},
	"account.recovery":     {"A recovery of your account was asked for", "Eine Wiederherstellung deines Kontos wurde beantragt"},
	"account.recoverylead": {"Somebody told an administrator that you lost your passkeys. If it was not you, stop it now: otherwise they may get a link to your account.", "Jemand hat der Administration gesagt, du hättest deine Passkeys verloren. Wenn du das nicht warst, halte es jetzt auf: sonst bekommt diese Person vielleicht einen Link zu deinem Konto."},
	"account.recoveryfrom": {"A link can be made from %s.", "Ein Link ist möglich ab %s."},
	"account.stop":         {"Stop the recovery", "Wiederherstellung aufhalten"},
	"account.waiting":      {"Recoveries that wait for you", "Wiederherstellungen, die auf dich warten"},
	"account.waitinglead":  {"Approve one only after you have spoken to the person. It takes two of you. They see a notice and can stop it; a day later a link for one new passkey can be made.", "Stimme erst zu, wenn du mit der Person gesprochen hast. Es braucht zwei von euch. Sie sieht einen Hinweis und kann es aufhalten; einen Tag später ist ein Link für einen neuen Passkey möglich."},
	"account.login":        {"Login", "Anmeldename"},
	"account.asked":        {"Asked for by", "Beantragt von"},
	"account.approve":      {"Approve", "Zustimmen"},
	"account.approvenamed": {"Approve the recovery of %s", "Zustimmen: Wiederherstellung von %s"},
	"account.welcome":      {"Your passkey works. Add a second one on another device now, and a lost device won’t matter.", "Dein Passkey geht. Lege jetzt auf einem anderen Gerät einen zweiten an, dann schadet ein verlorenes Gerät nicht."},

	// Consent.
	"agree.title":   {"Sign in to %s", "Bei %s anmelden"},
	"agree.heading": {"Allow %s to know you?", "Darf %s dich kennen?"},
	"agree.at":      {"You came from, and go back to", "Du kommst von hier und gehst hierhin zurück:"},
	"agree.app":     {"It is an app on your device:", "Es ist eine App auf deinem Gerät:"},
	"agree.device":  {"It is a program on your device.", "Es ist ein Programm auf deinem Gerät."},
	"agree.changed": {"Somebody else signed in meanwhile, or you did again, so nothing was decided. Look once more.", "Inzwischen hat sich jemand anders angemeldet, oder du noch einmal. Darum ist nichts entschieden. Sieh noch einmal hin."},
	"agree.you":     {"You are signed in as", "Du bist angemeldet als"},
	"agree.other":   {"Not you? Use another account", "Nicht du? Anderes Konto nehmen"},
	"agree.gets":    {"If you agree, it can:", "Wenn du zustimmst, kann es:"},
	"agree.know":    {"Recognise you", "Dich wiedererkennen"},
	"agree.knowing": {"It gets a number that stands for you, and learns when and how you signed in. Never your passkey.", "Es bekommt eine Nummer, die für dich steht, und erfährt, wann und wie du dich angemeldet hast. Nie deinen Passkey."},
	"agree.name":    {"See your name and login", "Deinen Namen und Anmeldenamen sehen"},
	"agree.api":     {"Act for you at", "Für dich handeln bei"},
	"agree.scopes":  {"What it may do there", "Was es dort darf"},
	"agree.offline": {"Stay connected when you are not here", "Verbunden bleiben, wenn du nicht da bist"},
	"agree.lasting": {"For %d days at most, and until it has not been used for %d days. Signing out does not end it; you do, on your account.", "Höchstens %d Tage lang, und bis es %d Tage nicht benutzt wurde. Abmelden beendet es nicht; das tust du in deinem Konto."},
	"agree.session": {"Stay connected while you are signed in here", "Verbunden bleiben, solange du hier angemeldet bist"},
	"agree.ending":  {"Until you sign out, and for %d days at most.", "Bis du dich abmeldest, höchstens %d Tage lang."},
	"agree.allow":   {"Allow and go on", "Zustimmen und weiter"},
	"agree.deny":    {"Don’t allow", "Nicht zustimmen"},
	"agree.back":    {"You can take this back on your account page whenever you like.", "Das kannst du auf deiner Kontoseite jederzeit zurücknehmen."},

	// Signing out for an application.
	"logout.title":  {"Sign out of %s?", "Von %s abmelden?"},
	"logout.asked":  {"%s asks for it.", "%s bittet darum."},
	"logout.lead":   {"This browser will no longer know you. What other applications keep of their own lasts until they end it.", "Dieser Browser kennt dich dann nicht mehr. Was andere Anwendungen selbst behalten, bleibt, bis sie es beenden."},
	"logout.go":     {"Sign out", "Abmelden"},
	"logout.stay":   {"Stay signed in", "Angemeldet bleiben"},
	"logout.next":   {"Afterwards you go back to", "Danach geht es zurück zu"},
	"logout.other":  {"Nobody was signed out", "Niemand wurde abgemeldet"},
	"logout.means":  {"The application asked to sign somebody else out than you. Your session here goes on.", "Die Anwendung wollte jemand anderen abmelden als dich. Deine Sitzung hier geht weiter."},
	"logout.goback": {"Go back to %s", "Zurück zu %s"},

	// Signed out.
	"out.title": {"You are signed out", "Du bist abgemeldet"},
	"out.lead":  {"This browser no longer knows you. Applications may still know you until their own sessions end.", "Dieser Browser kennt dich nicht mehr. Anwendungen kennen dich vielleicht noch, bis ihre eigenen Sitzungen enden."},
	"out.again": {"Sign in again", "Wieder anmelden"},

	// Problems.
	"problem.title":     {"That did not work", "Das hat nicht geklappt"},
	"problem.reference": {"Reference", "Kennung"},
	"problem.signin":    {"Go to sign-in", "Zur Anmeldung"},
	"problem.back":      {"Back to your account", "Zurück zu deinem Konto"},

	"problem.nothing.what":  {"There is no such page.", "Diese Seite gibt es nicht."},
	"problem.nothing.means": {"The address may be mistyped or out of date. Nothing is wrong with your account.", "Die Adresse ist vielleicht vertippt oder veraltet. Mit deinem Konto ist alles in Ordnung."},
	"problem.nothing.do":    {"Check the address, or start from the sign-in page.", "Prüfe die Adresse, oder beginne bei der Anmeldung."},

	"problem.foreign.what":  {"This request came from another site.", "Diese Anfrage kam von einer anderen Seite."},
	"problem.foreign.means": {"We took no notice of it: another site must not act in your name. Nothing was changed.", "Wir haben sie nicht beachtet: eine andere Seite darf nicht in deinem Namen handeln. Nichts wurde geändert."},
	"problem.foreign.do":    {"If you did not mean to come here, close the page. Otherwise open the sign-in page yourself.", "Wenn du gar nicht hierher wolltest, schließe die Seite. Sonst öffne die Anmeldung selbst."},

	"problem.malformed.what":  {"We could not read what your browser sent.", "Wir konnten nicht lesen, was dein Browser geschickt hat."},
	"problem.malformed.means": {"Nothing was changed. A browser extension or an old page can cause this.", "Nichts wurde geändert. Eine Browser-Erweiterung oder eine alte Seite kann der Grund sein."},
	"problem.malformed.do":    {"Reload the page and try again.", "Lade die Seite neu und versuche es noch einmal."},

	"problem.link.what":  {"This link no longer works.", "Dieser Link gilt nicht mehr."},
	"problem.link.means": {"A link works once, for 15 minutes, and a newer one makes it useless. If you did not use it yourself, somebody else may have: tell your administrator.", "Ein Link gilt einmal, 15 Minuten lang, und ein neuerer ersetzt ihn. Hast du ihn nicht selbst benutzt, dann vielleicht jemand anders: sag deiner Administration Bescheid."},
	"problem.link.do":    {"Ask your administrator for a new one.", "Bitte deine Administration um einen neuen."},

	"problem.challenge.what":  {"This took too long, or was finished already.", "Das hat zu lange gedauert, oder war schon fertig."},
	"problem.challenge.means": {"Each attempt counts once and for five minutes, in the browser that began it. Nothing was changed.", "Jeder Versuch zählt einmal und fünf Minuten lang, in dem Browser, der ihn begonnen hat. Nichts wurde geändert."},
	"problem.challenge.do":    {"Reload the page and try again.", "Lade die Seite neu und versuche es noch einmal."},

	"problem.refused.what":  {"This passkey was not accepted.", "Dieser Passkey wurde nicht angenommen."},
	"problem.refused.means": {"It is not registered here, was removed, or its answer was not what we asked for. You were not signed in.", "Er ist hier nicht bekannt, wurde entfernt, oder seine Antwort war nicht die erwartete. Du wurdest nicht angemeldet."},
	"problem.refused.do":    {"Try another passkey. If none works, ask your administrator for a link.", "Nimm einen anderen Passkey. Geht keiner, dann bitte deine Administration um einen Link."},

	"problem.cloned.what":  {"This passkey is suspended.", "Dieser Passkey ist gesperrt."},
	"problem.cloned.means": {"Its counter went back, as if there were a second copy of it. We no longer accept it, so a copy is worth nothing.", "Sein Zähler ist zurückgegangen, als gäbe es eine zweite Kopie. Wir nehmen ihn nicht mehr an: eine Kopie ist damit nichts wert."},
	"problem.cloned.do":    {"Sign in with another passkey and remove this one. Tell your administrator.", "Melde dich mit einem anderen Passkey an und entferne diesen. Sag deiner Administration Bescheid."},

	"problem.tier.what":  {"This kind of passkey is not allowed here.", "Diese Art von Passkey ist hier nicht erlaubt."},
	"problem.tier.means": {"Your organisation asks for passkeys that stay on one device, or for certified security keys. Nothing was registered.", "Deine Organisation verlangt Passkeys, die auf einem Gerät bleiben, oder zertifizierte Sicherheitsschlüssel. Nichts wurde angelegt."},
	"problem.tier.do":    {"Try again with a security key from your organisation.", "Versuche es mit einem Sicherheitsschlüssel deiner Organisation."},

	"problem.lesser.what":  {"This passkey no longer signs you in.", "Dieser Passkey meldet dich nicht mehr an."},
	"problem.lesser.means": {"Your organisation now asks for passkeys that stay on one device, or for certified security keys. Nothing is wrong with your account, and nobody has taken your passkey.", "Deine Organisation verlangt jetzt Passkeys, die auf einem Gerät bleiben, oder zertifizierte Sicherheitsschlüssel. Mit deinem Konto ist alles in Ordnung, und niemand hat deinen Passkey."},
	"problem.lesser.do":    {"Sign in with another passkey of yours, such as a security key. If you have none, ask your administrator for a recovery.", "Melde dich mit einem anderen deiner Passkeys an, etwa einem Sicherheitsschlüssel. Hast du keinen, dann bitte deine Administration um eine Wiederherstellung."},

	"problem.unproven.what":  {"This security key could not be checked.", "Dieser Sicherheitsschlüssel ließ sich nicht prüfen."},
	"problem.unproven.means": {"Your organisation asks for certified security keys, and what this one says about its maker is missing, unknown or revoked. Nothing was registered.", "Deine Organisation verlangt zertifizierte Sicherheitsschlüssel, und was dieser über seinen Hersteller sagt, fehlt, ist unbekannt oder widerrufen. Nichts wurde angelegt."},
	"problem.unproven.do":    {"Use a security key from your organisation’s list. If it is one, tell your administrator the reference.", "Nimm einen Sicherheitsschlüssel von der Liste deiner Organisation. Steht er darauf, nenne deiner Administration die Kennung."},

	"problem.exists.what":  {"This passkey is registered already.", "Dieser Passkey ist schon angelegt."},
	"problem.exists.means": {"A passkey belongs to one account. Nothing was changed.", "Ein Passkey gehört zu einem Konto. Nichts wurde geändert."},
	"problem.exists.do":    {"Use another device or security key.", "Nimm ein anderes Gerät oder einen anderen Sicherheitsschlüssel."},

	"problem.state.what":  {"That is not possible now.", "Das geht gerade nicht."},
	"problem.state.means": {"The account changed in the meantime, or it was the last passkey, which stays. Nothing was changed.", "Das Konto hat sich inzwischen geändert, oder es war der letzte Passkey, und der bleibt. Nichts wurde geändert."},
	"problem.state.do":    {"Look at your account and try again.", "Sieh dir dein Konto an und versuche es noch einmal."},

	"problem.other.what":  {"That was somebody else’s passkey.", "Das war der Passkey von jemand anderem."},
	"problem.other.means": {"You are signed in as somebody else than the passkey belongs to. Nothing was changed.", "Du bist als jemand anders angemeldet, als der Passkey sagt. Nichts wurde geändert."},
	"problem.other.do":    {"Use a passkey of the account you are signed in to, or sign out first.", "Nimm einen Passkey des Kontos, in dem du angemeldet bist, oder melde dich erst ab."},

	"problem.voice.what":  {"Your word doesn’t count for this recovery.", "Dein Wort zählt bei dieser Wiederherstellung nicht."},
	"problem.voice.means": {"Whoever approves one must have had a passkey for a day before it was asked for, so that nobody is made an administrator for the occasion. Or it was approved, or is over, in the meantime.", "Wer zustimmt, muss schon einen Tag vor dem Antrag einen Passkey gehabt haben, damit niemand nur dafür zur Administration gemacht wird. Oder es wurde inzwischen zugestimmt, oder sie ist vorbei."},
	"problem.voice.do":    {"Ask another administrator to approve it.", "Bitte jemand anderen aus der Administration, zuzustimmen."},

	"problem.whose.what":  {"That was another account’s passkey.", "Das war der Passkey eines anderen Kontos."},
	"problem.whose.means": {"What you are about to do was begun by another account. You were not signed in, and nothing was changed.", "Was du vorhast, hat ein anderes Konto begonnen. Du wurdest nicht angemeldet, und nichts wurde geändert."},
	"problem.whose.do":    {"Use a passkey of the account that began it, or begin again yourself.", "Nimm einen Passkey des Kontos, das es begonnen hat, oder beginne selbst von vorn."},

	"problem.unmet.what":  {"This is not enough for the application.", "Das genügt der Anwendung nicht."},
	"problem.unmet.means": {"It asks for a kind of sign-in that this passkey doesn’t prove. Your passkey is fine: if you used it just now, you are signed in.", "Sie verlangt eine Art der Anmeldung, die dieser Passkey nicht beweist. Deinem Passkey fehlt nichts: hast du ihn gerade benutzt, dann bist du angemeldet."},
	"problem.unmet.do":    {"Use a certified security key if you have one. Otherwise go back to the application.", "Nimm einen zertifizierten Sicherheitsschlüssel, wenn du einen hast. Sonst geh zur Anwendung zurück."},

	"problem.over.what":  {"This sign-in is over.", "Diese Anmeldung ist vorbei."},
	"problem.over.means": {"It was finished already, or took longer than 30 minutes. Your account is fine.", "Sie war schon fertig, oder hat länger als 30 Minuten gedauert. Deinem Konto fehlt nichts."},
	"problem.over.do":    {"Go back to the application and begin again.", "Geh zur Anwendung zurück und beginne noch einmal."},

	"problem.request.what":  {"The application’s request can’t be read.", "Die Anfrage der Anwendung ist nicht zu lesen."},
	"problem.request.means": {"It is too long or malformed, so we don’t know what was asked for. You were sent nowhere, and nothing was given away.", "Sie ist zu lang oder fehlerhaft, darum wissen wir nicht, was gemeint ist. Du wurdest nirgendwohin geschickt, und nichts wurde weitergegeben."},
	"problem.request.do":    {"Go back to the application and begin again. If it stays like this, tell whoever runs it the reference.", "Geh zur Anwendung zurück und beginne noch einmal. Bleibt es so, nenne denen, die sie betreiben, die Kennung."},

	"problem.client.what":  {"This application is not known here.", "Diese Anwendung ist hier nicht bekannt."},
	"problem.client.means": {"It was never registered, was switched off, or has a mistake in its settings. You were sent nowhere, and nothing was given away.", "Sie wurde nie angelegt, ist abgeschaltet, oder ihre Einstellungen haben einen Fehler. Du wurdest nirgendwohin geschickt, und nichts wurde weitergegeben."},
	"problem.client.do":    {"If you followed a link from a message, be careful: it may not be what it says. Otherwise tell whoever runs the application.", "Kam der Link aus einer Nachricht, sei vorsichtig: er ist vielleicht nicht, was er vorgibt. Sonst sag denen Bescheid, die die Anwendung betreiben."},

	"problem.redirect.what":  {"This link would lead you somewhere unknown.", "Dieser Link würde an einen unbekannten Ort führen."},
	"problem.redirect.means": {"The application has not registered the address that you were to go back to. It may be a mistake, or somebody who wants to catch your sign-in. You were sent nowhere.", "Die Anwendung hat die Adresse nicht angelegt, zu der du zurück solltest. Das kann ein Versehen sein, oder jemand will deine Anmeldung abfangen. Du wurdest nirgendwohin geschickt."},
	"problem.redirect.do":    {"Open the application yourself, by its own address. Whoever runs it finds the reason under the reference.", "Öffne die Anwendung selbst, unter ihrer eigenen Adresse. Wer sie betreibt, findet den Grund unter der Kennung."},

	"problem.after.what":  {"You were not signed out.", "Du wurdest nicht abgemeldet."},
	"problem.after.means": {"The application wants you to go on at an address that it has not registered for this, or did not say who it is.", "Die Anwendung will dich danach an eine Adresse schicken, die sie dafür nicht angelegt hat, oder sagt nicht, wer sie ist."},
	"problem.after.do":    {"You can sign out on your account page.", "Auf deiner Kontoseite kannst du dich abmelden."},

	"problem.busy.what":  {"Too many attempts came from your network.", "Aus deinem Netz kamen zu viele Versuche."},
	"problem.busy.means": {"We slowed down. Your account is not locked, and it never will be by this.", "Wir sind langsamer geworden. Dein Konto ist nicht gesperrt, und wird es dadurch nie."},
	"problem.busy.do":    {"Wait a minute and try again.", "Warte eine Minute und versuche es noch einmal."},

	"problem.away.what":  {"Signing in is not possible for the moment.", "Anmelden geht im Augenblick nicht."},
	"problem.away.means": {"A part of this server is restarting. We sign nobody in without writing it down first. Nothing was changed.", "Ein Teil dieses Servers startet neu. Wir melden niemanden an, ohne es vorher aufzuschreiben. Nichts wurde geändert."},
	"problem.away.do":    {"Try again in a moment.", "Versuche es gleich noch einmal."},

	"problem.noname.what":  {"Passkeys don’t work at this address.", "An dieser Adresse gehen keine Passkeys."},
	"problem.noname.means": {"This seawall is known by an IP address, and browsers bind passkeys to a name. It was set up that way; it is not your fault.", "Dieses Seawall ist unter einer IP-Adresse bekannt, und Browser binden Passkeys an einen Namen. Es wurde so eingerichtet; es liegt nicht an dir."},
	"problem.noname.do":    {"Whoever runs it can start a new one under a name, such as http://localhost:8420 for a try or https://id.example.com.", "Wer es betreibt, kann ein neues unter einem Namen starten, etwa http://localhost:8420 zum Ausprobieren oder https://id.example.com."},

	"problem.broken.what":  {"Something went wrong on the server.", "Auf dem Server ist etwas schiefgegangen."},
	"problem.broken.means": {"It is our fault, not yours. You can look at your account to see whether anything changed.", "Es liegt an uns, nicht an dir. In deinem Konto siehst du, ob sich etwas geändert hat."},
	"problem.broken.do":    {"Try again. If it stays like this, tell your administrator the reference.", "Versuche es noch einmal. Bleibt es so, nenne deiner Administration die Kennung."},
}
