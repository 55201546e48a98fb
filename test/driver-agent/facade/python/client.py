"""
An ordinary Kubernetes client (PyPI's `kubernetes`), which knows nothing of Spark or of us,
against the facade. Run by kubernetes-client.slow.test.ts as

    python client.py URL TOKEN

It prints a line of JSON when it wants something done to the pods ({"do": …}) and waits for a
line before it goes on; at the end it prints {"done": [what was seen, …]}. A failed expectation is
an AssertionError, and exit code 1.
"""
import json
import sys

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

NAMESPACE = "spark"


def api(url, token):
    configuration = client.Configuration(host=url)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return client.CoreV1Api(client.ApiClient(configuration))


def ask(what, **details):
    print(json.dumps({"do": what, **details}), flush=True)
    assert sys.stdin.readline(), "the test has gone away"


def pod(number):
    labels = {"spark-exec-id": str(number), "spark-role": "executor", "spark-version": "4.3.0"}
    container = client.V1Container(
        name="spark-kubernetes-executor",
        image="x",
        args=["executor"],
        env=[client.V1EnvVar(name="SPARK_EXECUTOR_ID", value=str(number))],
        resources=client.V1ResourceRequirements(limits={"memory": "984Mi"}, requests={"cpu": "1", "memory": "984Mi"}),
    )
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=f"exec-{number}", labels=labels),
        spec=client.V1PodSpec(containers=[container], restart_policy="Never"),
    )


def names(pods):
    return sorted((item.metadata.name for item in pods.items), key=lambda name: int(name.split("-")[1]))


def expect_status(code, call):
    try:
        call()
    except ApiException as error:
        assert error.status == code, f"{error.status} is not {code}"
        status = json.loads(error.body)
        assert status["kind"] == "Status" and status["code"] == code, status
        return
    raise AssertionError(f"no error, where {code} was expected")


def create_and_read(core, seen):
    for number in (1, 2, 3):
        created = core.create_namespaced_pod(NAMESPACE, pod(number))
        assert created.status.phase == "Pending" and created.metadata.uid, created
        assert created.metadata.creation_timestamp.tzinfo is not None
    expect_status(409, lambda: core.create_namespaced_pod(NAMESPACE, pod(1)))
    ask("run", names=["exec-1", "exec-2"])
    read = core.read_namespaced_pod("exec-1", NAMESPACE)
    assert read.status.phase == "Running" and read.status.pod_ip.startswith("127.64."), read
    assert read.status.container_statuses[0].state.running is not None
    expect_status(404, lambda: core.read_namespaced_pod("absent", NAMESPACE))
    seen.append("create and read")


def select(core, seen):
    def listed(**selectors):
        return names(core.list_namespaced_pod(NAMESPACE, **selectors))

    assert listed() == ["exec-1", "exec-2", "exec-3"]
    assert listed(label_selector="spark-exec-id in (1,3)") == ["exec-1", "exec-3"]
    assert listed(label_selector="spark-exec-id notin (1,3)") == ["exec-2"]
    assert listed(label_selector="spark-exec-id!=2,spark-role=executor") == ["exec-1", "exec-3"]
    assert listed(label_selector="spark-role,!absent") == ["exec-1", "exec-2", "exec-3"]
    assert listed(field_selector="status.phase=Running") == ["exec-1", "exec-2"]
    assert listed(field_selector="status.phase=Pending") == ["exec-3"]
    assert listed(field_selector="metadata.name=exec-2", label_selector="spark-exec-id==2") == ["exec-2"]
    assert names(core.list_pod_for_all_namespaces()) == ["exec-1", "exec-2", "exec-3"]
    expect_status(400, lambda: core.list_namespaced_pod(NAMESPACE, field_selector="spec.unknown=x"))
    seen.append("label and field selectors")


def patch(core, seen):
    patched = core.patch_namespaced_pod("exec-3", NAMESPACE, {"metadata": {"labels": {"spark-exec-inactive": "true"}}})
    assert patched.metadata.labels["spark-exec-inactive"] == "true"
    active = core.list_namespaced_pod(NAMESPACE, label_selector="spark-exec-inactive!=true")
    assert names(active) == ["exec-1", "exec-2"]
    operations = [{"op": "remove", "path": "/metadata/labels/spark-exec-inactive"}]
    patched = core.patch_namespaced_pod("exec-3", NAMESPACE, operations)
    assert "spark-exec-inactive" not in patched.metadata.labels
    seen.append("patches")


def watch_lives(core, seen):
    """Sees a pod from ADDED to DELETED, and a watch that ends by the client's timeout."""
    since = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
    core.create_namespaced_pod(NAMESPACE, pod(4))
    ask("run", names=["exec-4"])
    ask("crash", names=["exec-4"])
    phases = []
    for event in watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, resource_version=since, timeout_seconds=60):
        assert event["object"].metadata.name == "exec-4", event
        phases.append((event["type"], event["object"].status.phase))
        if event["type"] == "DELETED":
            break
    assert phases[-1] == ("DELETED", "Failed"), phases
    since = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
    quiet = watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, resource_version=since, timeout_seconds=1)
    assert list(quiet) == []
    seen.append("a watch")


def watch_cut(core, seen):
    """A watch that is cut while ten pods end is told of all of them."""
    numbers = range(11, 21)
    for number in numbers:
        core.create_namespaced_pod(NAMESPACE, pod(number))
    every = [f"exec-{number}" for number in numbers]
    ask("run", names=every)
    since = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
    deleted = []
    ask("crash", names=every[:4])
    for rounds in range(10):
        if len(deleted) == 10:
            break
        watcher = watch.Watch()
        for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, resource_version=since, timeout_seconds=30):
            since = event["object"].metadata.resource_version
            if event["type"] == "DELETED":
                assert event["object"].metadata.deletion_timestamp is not None
                deleted.append(event["object"].metadata.name)
            if rounds == 0 and len(deleted) == 2:
                watcher.stop()  # in the middle: two of four told, six still to come
                break
            if len(deleted) == 10:
                break
        if rounds == 0:
            ask("crash", names=every[4:])
    assert sorted(deleted) == every, deleted
    seen.append("a watch that was cut")


def delete(core, seen):
    status = core.delete_namespaced_pod("exec-1", NAMESPACE, grace_period_seconds=5)
    assert status is not None
    expect_status(404, lambda: core.delete_namespaced_pod("absent", NAMESPACE))
    ask("exit", names=["exec-1"])
    expect_status(404, lambda: core.read_namespaced_pod("exec-1", NAMESPACE))
    core.delete_collection_namespaced_pod(NAMESPACE, label_selector="spark-exec-id=2")
    ask("exit", names=["exec-2"])
    assert names(core.list_namespaced_pod(NAMESPACE)) == ["exec-3"]
    core.delete_namespaced_pod("exec-3", NAMESPACE, grace_period_seconds=0)
    ask("exit", names=["exec-3"])
    assert names(core.list_namespaced_pod(NAMESPACE)) == []
    seen.append("deletes")


def others(core, seen, url):
    config_map = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="conf"), data={"a": "b"})
    assert core.create_namespaced_config_map(NAMESPACE, config_map).data == {"a": "b"}
    assert core.list_namespaced_config_map(NAMESPACE).items == []
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="x=y")
    claim = client.V1PersistentVolumeClaim(metadata=client.V1ObjectMeta(name="claim"))
    expect_status(422, lambda: core.create_namespaced_persistent_volume_claim(NAMESPACE, claim))
    expect_status(404, lambda: core.list_node())
    expect_status(401, lambda: api(url, "wrong-token-wrong-token").list_namespaced_pod(NAMESPACE))
    seen.append("what is refused")


def main(url, token):
    core = api(url, token)
    seen = []
    create_and_read(core, seen)
    select(core, seen)
    patch(core, seen)
    watch_lives(core, seen)
    watch_cut(core, seen)
    delete(core, seen)
    others(core, seen, url)
    print(json.dumps({"done": seen}), flush=True)


main(*sys.argv[1:])
