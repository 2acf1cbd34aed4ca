// Healthy: this mongod is the writable primary of its replica set. Initiates the set where there is none yet.

const SECONDS_TO_BECOME_PRIMARY = 8;

function isPrimary() {
  const hello = db.hello();
  // A mongod that is still being set up by the image is writable as well, but in no set.
  return hello.setName !== undefined && hello.isWritablePrimary;
}

function initiateOnce() {
  const { MONGO_USER, MONGO_PASSWORD } = process.env;
  const admin = db.getSiblingDB("admin");
  admin.auth(MONGO_USER, MONGO_PASSWORD);
  admin.runCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] } });
}

if (!isPrimary() && db.hello().isreplicaset) {
  initiateOnce();
  for (let i = 0; i < SECONDS_TO_BECOME_PRIMARY && !isPrimary(); i++) sleep(1000);
}
quit(isPrimary() ? 0 : 1);
